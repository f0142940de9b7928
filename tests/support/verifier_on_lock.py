"""The verifier on the lock's own interpreter."""

import json
from typing import Any

from tests.support.credential import Case
from tests.support.on_lock import run_on_lock

ON_LOCK = """
from firmware import crypto
from protocol.errors import MooringError
from protocol.mdoc import verifier
from protocol.mdoc.chain import TrustRoot
import gc
def judge(response, transcript, roots, now, reader, doc_types):
    try:
        roots = [TrustRoot(bytes.fromhex(root), types) for root, types in roots]
        reader = None if reader is None else bytes.fromhex(reader)
        response, transcript = bytes.fromhex(response), bytes.fromhex(transcript)
        found = verifier.verify(crypto, response, transcript, roots, now, reader, doc_types)
        return sorted([document.doc_type for document in found])
    except MooringError as error:
        return error.code
answers = []
for path in given:
    gc.collect()
    with open(path) as case:
        answers.append(judge(*json.load(case)))
answer(answers)
"""


def on_lock(cases: list[Case], folder: Any) -> list[Any]:
    """Verify each case on MicroPython. Return for each case the document types, or the code of the refusal."""
    paths = []
    for number, case in enumerate(cases):
        path = folder / f"{number}.json"
        roots = [(certificate.hex(), doc_types) for certificate, doc_types in case.roots]
        reader = case.e_reader_private and case.e_reader_private.hex()
        # A response in hex takes twice as much of the lock's memory as the response in bytes. So a response that is too
        # long is cut one byte above the limit. The lock must refuse the cut response.
        response = case.device_response[:65537].hex()
        path.write_text(json.dumps([response, case.session_transcript.hex(), roots, case.now, reader, case.doc_types]))
        paths.append(str(path))
    answers: list[Any] = run_on_lock(ON_LOCK, paths)
    return answers
