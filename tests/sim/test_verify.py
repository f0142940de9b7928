"""`python -m sim verify` gives one verdict, the right exit code and never a traceback, for any FILE."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.mdoc.response import MAX_DEVICE_RESPONSE
from sim import verify
from sim.__main__ import main, parser
from sim.board import interpreter
from tests.support import vectors
from tests.support.attacks import GOOD, REJECTED
from tests.support.credential import MDL_NAME_SPACE, NOW, Case, Credential, present

RUNTIMES = ("cpython", "micropython")


def content(case: Case) -> dict[str, Any]:
    """Return FILE's content for a case of the verifier's tests."""
    return {
        "device_response": case.device_response.hex(),
        "session_transcript": case.session_transcript.hex(),
        "trust_roots": [root.hex() for root, _ in case.roots],
        "time": NOW.isoformat(),
        "reader_private_key": case.e_reader_private and case.e_reader_private.hex(),
        "doc_types": case.doc_types,
    }


class Verdict:
    """Exit code and printed object of one run."""

    def __init__(self, code: int, printed: str) -> None:
        self.code = code
        self.printed = json.loads(printed)
        assert printed.count("\n") == 1
        assert set(self.printed) == {"ok", "accepted", "runtime", "documents", "error"}
        assert self.printed["ok"] == self.printed["accepted"] == (code == 0) == (self.printed["error"] is None)
        assert code == 0 or self.printed["documents"] == []

    @property
    def error(self) -> str:
        return str(self.printed["error"]["code"])


@pytest.fixture
def judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command on a FILE with the given content.

    Bytes are written as they are. Any other object is written as JSON.
    """

    def run(held: Any, runtime: str = "cpython") -> Verdict:
        file = tmp_path / "case.json"
        file.write_bytes(held if isinstance(held, bytes) else json.dumps(held).encode())
        return run_on(file, runtime)

    def run_on(file: Path, runtime: str) -> Verdict:
        capsys.readouterr()
        code = main(["verify", str(file), "--runtime", runtime])
        output = capsys.readouterr()
        verdict = Verdict(code, output.out)
        # An error about FILE is also printed on stderr. A bad verdict on a document is not an error of the command.
        assert output.err.startswith(f"{verdict.error}: ") if code == 2 else output.err == ""
        return verdict

    run.on = run_on  # type: ignore[attr-defined]  # tests call either function
    return run


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("neighbour", ["a deviceSignature", "a deviceMac", "two documents", "a deviceMac on P-384"])
def test_a_good_response_is_accepted(judge: Any, runtime: str, neighbour: str) -> None:
    verdict = judge(content(GOOD[neighbour]()), runtime)
    assert verdict.code == 0
    assert verdict.printed["runtime"] == str(interpreter.find(runtime))


@pytest.mark.parametrize(
    "attack",
    [
        "an expired MSO",
        "a tampered value",
        "a bad issuer signature",
        "a replayed transcript",
        "a flipped MAC",
        "an unrelated trust root",
        "an empty response",
        "a truncated response",
        "bytes after the response",
        "5,000 nested arrays",
        "a length of 2^63",
        "60,000 empty maps",
        "a million tiny items",
    ],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_bad_response_is_rejected_with_its_code(judge: Any, runtime: str, attack: str) -> None:
    verdict = judge(content(REJECTED[attack][1]()), runtime)
    assert (verdict.code, verdict.error) == (1, REJECTED[attack][0])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_sample_is_accepted_and_with_one_digit_changed_it_is_not(judge: Any, runtime: str) -> None:
    sample = interpreter.ROOT / "docs/sample-response.json"
    verdict = judge.on(sample, runtime)
    assert verdict.code == 0 and verdict.printed["documents"][0]["elements"][MDL_NAME_SPACE]["nationality"] == "SE"
    case = json.loads(sample.read_text())
    changed = case["device_response"].replace(b"SE".hex(), b"NO".hex(), 1)
    refused = judge({**case, "device_response": changed}, runtime)
    assert (refused.code, refused.error) == (1, "mdoc.digest")
    assert refused.printed["error"]["message"], "in words too, though the lock's build has none"


def test_the_lock_is_the_default() -> None:
    assert parser().parse_args(["verify", "FILE"]).runtime == "micropython"


def test_both_runtimes_show_the_same_elements(judge: Any) -> None:
    import cbor2

    elements: dict[str, dict[str, Any]] = {
        MDL_NAME_SPACE: {
            "family_name": 'Müller \u0000\u001f\u007f"\\ 张 \U0001f600',
            "birth_date": cbor2.CBORTag(1004, "1984-08-12"),
            "issued_at": cbor2.CBORTag(0, "2026-01-01T00:00:00Z"),
            "portrait": bytes(range(256)) * 3,
            "numbers": [0, -1, 2**64 - 1, -(2**64), 1.5, float("inf"), float("nan")],
            "nothing": [None, True, False, [], {}, "", b""],
            "nested": {"text": 1, 7: b"\x07"},
            "tagged": cbor2.CBORTag(4711, [b"\x01"]),
            "wrapped": cbor2.CBORTag(24, b"\x01"),
        },
        "org.example": {"empty": {}},
    }
    case = content(present(Credential(elements=elements)))
    here, there = judge(case, "cpython"), judge(case, "micropython")
    assert here.printed["documents"] == there.printed["documents"]
    shown = here.printed["documents"][0]["elements"][MDL_NAME_SPACE]
    assert shown["family_name"] == elements[MDL_NAME_SPACE]["family_name"]
    assert (shown["birth_date"], shown["issued_at"]) == ("1984-08-12", "2026-01-01T00:00:00Z")
    assert shown["portrait"] == (bytes(range(256)) * 3).hex()
    assert shown["numbers"] == [0, -1, 2**64 - 1, -(2**64), 1.5, "inf", "nan"]
    assert shown["nested"] == {"text": 1, "7": "07"}
    assert shown["tagged"] == {"tag": 4711, "value": ["01"]}
    assert shown["wrapped"] == "01"


@pytest.mark.parametrize("size", [30_000, 63_000])
def test_the_locks_heap_holds_a_large_portrait(judge: Any, size: int) -> None:
    portrait = bytes(range(250)) * (size // 250)
    case = present(Credential(method="deviceMac", elements={MDL_NAME_SPACE: {"portrait": portrait}}))
    assert len(case.device_response) <= MAX_DEVICE_RESPONSE
    verdict = judge(content(case), "micropython")
    assert verdict.code == 0, verdict.printed
    assert verdict.printed["documents"][0]["elements"][MDL_NAME_SPACE]["portrait"] == portrait.hex()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_ten_megabytes_are_rejected(judge: Any, runtime: str) -> None:
    verdict = judge({**content(present()), "device_response": "a1" * 10_000_000}, runtime)
    assert (verdict.code, verdict.error) == (1, "mdoc.too_long")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_transcript_that_is_none_is_a_rejection(judge: Any, runtime: str) -> None:
    for transcript in ("", "80", "81" * 5000, "9b8000000000000000"):
        verdict = judge({**content(present()), "session_transcript": transcript}, runtime)
        assert (verdict.code, verdict.error) == (1, "mdoc.session_transcript")


def test_no_trust_roots_are_usable_and_trust_nobody(judge: Any) -> None:
    verdict = judge({**content(present()), "trust_roots": []})
    assert (verdict.code, verdict.error) == (1, "mdoc.untrusted")


def test_doc_types_replace_the_default(judge: Any) -> None:
    assert judge({**content(present()), "doc_types": ["another"]}).error == "mdoc.doctype_not_accepted"
    assert judge(content(GOOD["a document type that only the caller allows"]())).code == 0


def test_optional_members_may_be_left_out(judge: Any) -> None:
    case = content(present())
    del case["reader_private_key"], case["doc_types"]
    assert judge(case).code == 0
    case = content(present(Credential(method="deviceMac")))
    del case["reader_private_key"]
    assert judge(case).error == "mdoc.reader_key"


@pytest.mark.parametrize(
    "time",
    [
        "2026-06-15T12:00:00Z",
        "2026-06-15T14:00:00+02:00",
        "2026-06-15T12:00:00.5Z",
        "2026-06-15T12:00",
        "2026-06-15",
        "20260615T120000Z",
    ],
)
def test_iso_8601_is_read_in_its_usual_forms(judge: Any, time: str) -> None:
    assert judge({**content(present()), "time": time}).code == 0


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("device_response", None),
        ("device_response", 1),
        ("device_response", "a"),
        ("device_response", "xx"),
        ("device_response", "\ud800"),
        ("session_transcript", []),
        ("session_transcript", "0"),
        ("trust_roots", None),
        ("trust_roots", "30"),
        ("trust_roots", {}),
        ("trust_roots", [1]),
        ("trust_roots", ["zz"]),
        ("trust_roots", [""]),
        ("trust_roots", ["3000"]),
        ("time", None),
        ("time", 1_800_000_000),
        ("time", "yesterday"),
        ("time", ""),
        ("time", "2026-02-30T00:00:00Z"),
        ("time", "\ud800"),
        ("reader_private_key", 5),
        ("reader_private_key", ""),
        ("reader_private_key", "00" * 32),
        ("reader_private_key", "ff" * 32),
        ("reader_private_key", "ff" * 48),
        ("reader_private_key", "01" * 33),
        ("doc_types", "org.iso.18013.5.1.mDL"),
        ("doc_types", [1]),
        ("doc_types", ["\ud800"]),
    ],
)
def test_a_file_with_an_unusable_member_is_named_as_such(judge: Any, member: str, value: Any) -> None:
    verdict = judge({**content(present()), member: value})
    assert (verdict.code, verdict.error) == (2, f"file.{member}")


@pytest.mark.parametrize("member", ["device_response", "session_transcript", "trust_roots", "time"])
def test_a_file_without_a_needed_member_is_unusable(judge: Any, member: str) -> None:
    case = content(present())
    del case[member]
    verdict = judge(case)
    assert (verdict.code, verdict.error) == (2, f"file.{member}")


@pytest.mark.parametrize(
    "held",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'"text"',
        b"NaN",
        b"9" * 10_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{}\x00",
        b"\x00" * 1000,
    ],
    ids=lambda held: held[:8].hex() or "empty",
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_no_json_object_is_unusable(judge: Any, held: bytes, runtime: str) -> None:
    verdict = judge(held, runtime)
    assert (verdict.code, verdict.error) == (2, "file.json")


def test_a_file_that_is_not_there_is_unusable(judge: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path, Path("null\0character"), Path("x" * 5000)):
        verdict = judge.on(path, "cpython")
        assert (verdict.code, verdict.error) == (2, "file.unreadable")


def test_numbers_that_json_does_not_know_do_no_harm(judge: Any) -> None:
    held = json.dumps({**content(present()), "comment": [float("nan"), 10**400]}).encode()
    assert judge(held).code == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.binary(max_size=9).map(bytes.hex),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
    st.sampled_from(
        ["device_response", "session_transcript", "trust_roots", "time", "reader_private_key", "doc_types"]
    ),
)
def test_any_value_of_any_member_has_a_verdict(judge: Any, value: Any, member: str) -> None:
    verdict = judge({**content(present()), member: value})
    assert verdict.code in (0, 1, 2)


def test_a_lock_without_a_verdict_is_a_rejection(tmp_path: Path) -> None:
    silent, file = tmp_path / "silent.py", tmp_path / "case.json"
    file.write_text(json.dumps(content(present())))
    case = verify.load(file)
    for source, code in (
        ("", "lock.crashed"),
        ("1/0", "lock.crashed"),
        ("print('[]')", "lock.crashed"),
        ("while True: pass", "lock.timeout"),
    ):
        silent.write_text(source)
        verdict = verify.on_lock(interpreter.find(), case, silent, seconds=0.5)
        assert verdict["error"]["code"] == code and verdict["documents"] == []
    assert verify.on_lock(interpreter.find(), case)["error"] is None


def test_a_lock_out_of_memory_is_a_rejection(judge: Any) -> None:
    roots = content(present())["trust_roots"] * 1500
    verdict = judge({**content(present()), "trust_roots": roots}, "micropython")
    assert (verdict.code, verdict.error) == (1, "lock.memory")


@vectors.needed
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("annex_d_mac", 0, None),
        ("auth0_mac", 0, None),
        ("auth0_signature", 0, None),
        ("expired_mso", 1, "mdoc.expired"),
        ("pymdoccbor_mac", 0, None),
        ("pymdoccbor_signature", 0, None),
        ("tampered_value", 1, "mdoc.digest"),
        ("untrusted_root", 1, "mdoc.untrusted"),
    ],
)
def test_published_files_are_judged(judge: Any, runtime: str, name: str, code: int, error: str | None) -> None:
    verdict = judge.on(vectors.path(f"responses/{name}.json"), runtime)
    assert (verdict.code, verdict.printed["error"] and verdict.error) == (code, error)


@vectors.needed
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["pymdoccbor_mac", "pymdoccbor_signature"])
def test_published_files_of_pymdoccbor_are_accepted_once_their_validity_has_begun(
    judge: Any, runtime: str, name: str
) -> None:
    held = vectors.load(f"responses/{name}.json")
    assert judge({**held, "time": "2026-11-23T16:52:01Z"}, runtime).code == 0
    early = judge({**held, "time": "2026-11-23T16:52:00Z"}, runtime)
    assert (early.code, early.error) == (1, "mdoc.not_yet_valid")
