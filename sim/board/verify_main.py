"""Judges one DeviceResponse with the firmware's verifier. MicroPython runs this file as a script, and CPython calls
`judge`.

As a script: `micropython verify_main.py INPUTS`, where INPUTS is a file with the CBOR array
`[device_response, session_transcript, [* root], [earliest, latest], e_reader_private / null, [* docType] / null]`.
Prints one JSON object `{"documents": [{"docType", "elements"}], "error": null | {"code", "message"}}`.
"""

import gc
import json
import sys

from protocol import cbor
from protocol.errors import MooringError
from protocol.mdoc import verifier

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from protocol.crypto import Crypto

_TDATE = 0
_FULL_DATE = 1004
_CHUNK = 256


def judge(crypto: "Crypto", inputs: "list[Any]", out: "TextIO") -> None:
    """Write the verdict on `inputs` (see the module's docstring) to `out`."""
    device_response, session_transcript, roots, now, e_reader_private, doc_types = inputs
    try:
        documents = verifier.verify(
            crypto, device_response, session_transcript, roots, (now[0], now[1]), e_reader_private, doc_types
        )
    except MooringError as error:
        refuse(error.code, error.message, out)
        return
    shown = []
    for document in documents:
        entry = {"docType": document.doc_type, "elements": document.elements}
        if document.device_elements:
            entry["deviceElements"] = document.device_elements
        shown.append(entry)
    _write({"documents": shown, "error": None}, out)


def refuse(code: str, message: str, out: "TextIO") -> None:
    """Write the verdict of a rejection."""
    _write({"documents": [], "error": {"code": code, "message": message}}, out)


def _write(value: "Any", out: "TextIO") -> None:
    """Write `value` as JSON, in pieces. A portrait in hex, as a single string, would not fit into the lock's heap.

    Bytes become hex. A date becomes text, and so does any other value that JSON lacks.
    """
    if isinstance(value, cbor.Encoded):
        value = value.content
    elif isinstance(value, cbor.Tag):
        dated = value.number in (_TDATE, _FULL_DATE)
        value = value.value if dated else {"tag": value.number, "value": value.value}
    if isinstance(value, (bytes, bytearray)):
        out.write('"')
        for at in range(0, len(value), _CHUNK):
            out.write(value[at : at + _CHUNK].hex())
        out.write('"')
    elif isinstance(value, list):
        opening = "["
        for each in value:
            out.write(opening)
            _write(each, out)
            opening = ","
        out.write("]" if value else "[]")
    elif isinstance(value, dict):
        opening = "{"
        for key, each in value.items():
            out.write(opening)
            out.write(json.dumps(key if isinstance(key, str) else key.hex() if isinstance(key, bytes) else str(key)))
            out.write(":")
            _write(each, out)
            opening = ","
        out.write("}" if value else "{}")
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        out.write(json.dumps(str(value)))
    else:
        out.write(json.dumps(value))


def _read(path: str) -> "list[Any]":
    with open(path, "rb") as source:
        # Read into one buffer of the right size. read() would repeatedly double its buffer until the file fits.
        data = bytearray(source.seek(0, 2))
        source.seek(0)
        source.readinto(data)
    inputs: list[Any] = cbor.decode(data)
    return inputs


def _main(path: str) -> None:
    from firmware import crypto

    # Compiling the modules left garbage all over the heap. This garbage is collected here, because large objects need
    # large free blocks.
    gc.collect()
    try:
        inputs = _read(path)
        gc.collect()
        judge(crypto, inputs, sys.stdout)
    except MemoryError:
        refuse("lock.memory", "the case does not fit into the lock's memory", sys.stdout)
    print()


if __name__ == "__main__":
    _main(sys.argv[1])
