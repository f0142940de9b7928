"""Judges one DeviceResponse with the firmware's own verifier; run by MicroPython, and called as it stands on CPython.

As a script: `micropython verify_main.py INPUTS`, where INPUTS is a file with the CBOR array
`[device_response, session_transcript, [* root], [earliest, latest], reader_private / null, [* docType] / null]`.
Prints one line of JSON `{"documents": [...], "error": null | {"code", "message"}, "heap_used": bytes}`.
"""

import json
import sys

from protocol import cbor
from protocol.errors import MooringError
from protocol.mdoc import verifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from protocol.crypto import Crypto

_TDATE = 0
_FULL_DATE = 1004


def _shown(value: "Any") -> "Any":
    """`value` in JSON's types: bytes in hex, dates as their text, what JSON cannot say as text."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, cbor.Encoded):
        return value.content.hex()
    if isinstance(value, cbor.Tag):
        if value.number in (_TDATE, _FULL_DATE):
            return _shown(value.value)
        return {"tag": value.number, "value": _shown(value.value)}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return {_key(key): _shown(each) for key, each in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _key(key: "int | str | bytes") -> str:
    return key if isinstance(key, str) else key.hex() if isinstance(key, bytes) else str(key)


def judge(crypto: "Crypto", inputs: "list[Any]") -> "dict[str, Any]":
    """The verdict on `inputs` (see the module's docstring) as a JSON object: documents and error."""
    device_response, session_transcript, roots, now, reader_private, doc_types = inputs
    try:
        documents = verifier.verify(
            crypto, device_response, session_transcript, roots, (now[0], now[1]), reader_private, doc_types
        )
    except MooringError as error:
        return {"documents": [], "error": {"code": error.code, "message": error.message}}
    shown = []
    for document in documents:
        entry = {"docType": document.doc_type, "elements": _shown(document.elements)}
        if document.device_elements:
            entry["deviceElements"] = _shown(document.device_elements)
        shown.append(entry)
    return {"documents": shown, "error": None}


def _main(path: str) -> None:
    import gc

    from firmware import crypto

    try:
        with open(path, "rb") as source:
            inputs = cbor.decode(source.read())
        verdict = judge(crypto, inputs)
    except MemoryError:
        verdict = {"documents": [], "error": {"code": "lock.memory", "message": "more than the lock's memory holds"}}
    if hasattr(gc, "mem_alloc"):
        verdict["heap_used"] = gc.mem_alloc()
    # Straight to the stream: a portrait in hex, once more as a whole line, would not fit.
    json.dump(verdict, sys.stdout)
    print()


if __name__ == "__main__":
    _main(sys.argv[1])
