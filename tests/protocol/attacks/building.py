"""How the attacks are built: small changes to a good credential, its certificates and its presentation."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509

from tests.protocol.credential import (
    DS,
    IACA,
    INTERMEDIATE,
    MDL_NAME_SPACE,
    Authority,
    Case,
    Credential,
    name,
    present,
    seconds,
    session_transcript,
)

Build = Callable[[], Case]
DAY = timedelta(days=1)
PID = "eu.europa.ec.eudi.pid.1"
PATHLEN_1 = replace(IACA, constraints=x509.BasicConstraints(ca=True, path_length=1))
BELOW_INTERMEDIATE = replace(DS, authority_key_identifier=b"intermediate")


def put(*path: Any) -> Callable[[Any], None]:
    """A change that sets the member at path[:-1] to path[-1]."""

    def change(item: Any) -> None:
        for step in path[:-2]:
            item = item[step]
        item[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Callable[[Any], None]:
    """A change that removes the member at `path`."""

    def change(item: Any) -> None:
        for step in path[:-1]:
            item = item[step]
        del item[path[-1]]

    return change


def one(**settings: Any) -> Build:
    """A response with one credential made so."""
    return lambda: present(Credential(**settings))


def mac(**settings: Any) -> Build:
    return one(method="deviceMac", **settings)


def answer(change: Callable[[Any], None]) -> Build:
    return lambda: present(change_response=change)


def under(**settings: Any) -> Build:
    """With a DS certificate made so."""
    return lambda: present(Credential(ds=replace(DS, **settings)))


def below(**settings: Any) -> Build:
    """With an IACA certificate made so, which is trusted."""
    return lambda: present(Credential(iaca=replace(IACA, **settings)))


def through(*intermediates: Authority, iaca: Authority = PATHLEN_1, ds: Authority = BELOW_INTERMEDIATE) -> Build:
    return lambda: present(Credential(iaca=iaca, intermediates=intermediates, ds=ds))


def at(earliest: datetime, latest: datetime | None) -> Build:
    return lambda: present(now=(seconds(earliest), None if latest is None else seconds(latest)))


def mso(change: Callable[[Any], None], **settings: Any) -> Build:
    return one(change_mso=change, **settings)


def items(change: Callable[[list[Any]], None]) -> Build:
    """With the list of IssuerSignedItemBytes changed after signing."""
    return one(change_document=lambda document: change(document["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]))


def reopened(item: cbor2.CBORTag, **changes: Any) -> cbor2.CBORTag:
    return cbor2.CBORTag(24, cbor2.dumps({**cbor2.loads(item.value), **changes}))


def authorizing(**authorizations: Any) -> dict[str, Any]:
    return {"change_mso": put("deviceKeyInfo", "keyAuthorizations", authorizations)}


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _swap_values(elements: list[Any]) -> None:
    first, second = cbor2.loads(elements[0].value), cbor2.loads(elements[1].value)
    elements[0] = reopened(elements[0], elementValue=second["elementValue"])
    elements[1] = reopened(elements[1], elementValue=first["elementValue"])


def _same_element_twice(item: Any) -> None:
    if item["elementIdentifier"] == "given_name":
        item["elementIdentifier"] = "family_name"


def _mac_beside_the_signature(document: Any) -> None:
    auth = document["deviceSigned"]["deviceAuth"]
    auth["deviceMac"] = [cbor2.dumps({1: 5}), {}, None, bytes(32)]


def _duplicate(response: Any) -> None:
    response["documents"].append(response["documents"][0])


def _forged_neighbour() -> Case:
    return present(Credential(), Credential(doc_type=PID, change_issuer_auth=put(3, bytes(64))))


def _replayed() -> Case:
    return present(session=session_transcript(nonce=b"another handover"))


def _unrelated_root() -> Case:
    other = Authority(name("Utopia other IACA"))
    return present(roots=[(other.certificate(other), None)])


def _namesake_root() -> Case:
    namesake = replace(IACA, key_name="namesake")
    return present(roots=[(namesake.certificate(namesake), None)])


def _renewed_root() -> Case:
    renewed = replace(IACA, key_name="renewed")
    return present(roots=[(renewed.certificate(renewed), None), (IACA.certificate(IACA), None)])


def _own_root_in_x5chain() -> Case:
    mallory = Authority(name("Mallory IACA"))
    ds = replace(DS, authority_key_identifier=None)
    chain = [ds.certificate(mallory), mallory.certificate(mallory)]
    return present(Credential(ds=ds, change_issuer_auth=put(1, 33, chain)), roots=[(IACA.certificate(IACA), None)])


def _names_that_do_not_chain() -> Case:
    other = replace(INTERMEDIATE, subject=name("Utopia other intermediate"))
    chain = [BELOW_INTERMEDIATE.certificate(INTERMEDIATE), other.certificate(PATHLEN_1)]
    return present(Credential(iaca=PATHLEN_1, ds=BELOW_INTERMEDIATE, change_issuer_auth=put(1, 33, chain)))


def _forged_ds_certificate() -> Case:
    mallory = replace(IACA, key_name="mallory")
    return present(Credential(ds_certificate=DS.certificate(mallory)))


def _scoped(doc_types: list[str]) -> Build:
    return lambda: present(roots=[(IACA.certificate(IACA), doc_types)])


def _point_off_the_curve(item: Any) -> None:
    item["deviceKeyInfo"]["deviceKey"][-3] = flip_last(item["deviceKeyInfo"]["deviceKey"][-3])


def _algorithm_unprotected(message: Any) -> None:
    message[0] = b""
    message[1][1] = -7


_ANY = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
_CLIENT_AUTH = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")
