"""DeviceRequest (ISO/IEC 18013-5 clause 8.3.2.1.2.1) with mdoc reader authentication (clause 9.1.4)."""

from protocol import cbor, cose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

VERSION = "1.0"


def items_request(doc_type: str, name_spaces: "dict[str, list[str]]", intent_to_retain: bool) -> cbor.Encoded:
    """Return ItemsRequestBytes for one document: the namespaces, with the elements that are asked for."""
    asked = {name_space: dict.fromkeys(names, intent_to_retain) for name_space, names in name_spaces.items()}
    return cbor.wrap(cbor.encode({"docType": doc_type, "nameSpaces": asked}))


def reader_authentication(session_transcript: bytes, items: cbor.Encoded) -> bytes:
    """Return ReaderAuthenticationBytes: the detached content that the reader signs (clause 9.1.4.4)."""
    return cbor.wrap(cbor.encode(["ReaderAuthentication", cbor.Raw(session_transcript), items])).raw


def device_request(
    crypto: "Crypto",
    items: "dict[str, dict[str, list[str]]]",
    session_transcript: bytes,
    reader_auth_private: bytes,
    reader_chain: "list[bytes]",
    intent_to_retain: bool = True,
) -> "dict[str, Any]":
    """Return a DeviceRequest, to be encoded. The request has one signed DocRequest for each document type of `items`.

    `items` is {document type: {namespace: [element]}}. `session_transcript` is encoded and untagged.
    `reader_auth_private` is the P-256 key of the first certificate of `reader_chain` (DER, root left out). For every
    element, the holder is told whether the reader intends to keep it (`intent_to_retain`). The province keeps the
    elements in the registration, so the honest default is True.
    """
    chain: Any = reader_chain[0] if len(reader_chain) == 1 else reader_chain
    requests = []
    for doc_type in sorted(items):
        asked = items_request(doc_type, items[doc_type], intent_to_retain)
        content = reader_authentication(session_transcript, asked)
        auth = cose.sign1(crypto, reader_auth_private, content, unprotected={cose.X5CHAIN: chain}, detached=True)
        requests.append({"itemsRequest": asked, "readerAuth": auth})
    return {"version": VERSION, "docRequests": requests}
