"""`python -m sim verify FILE`: the firmware's verifier judges one DeviceResponse. `--help` describes FILE."""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from protocol import cbor, crypto_cpython
from protocol.command_line_cpython import DONE, NO, UNUSABLE, error_line
from protocol.crypto import COORDINATE_BYTES
from protocol.errors import ConfigError, FormatError, MooringError
from protocol.mdoc.response import MAX_DEVICE_RESPONSE
from protocol.x509 import Certificate
from sim.board import interpreter, verify_main

ACCEPTED, REJECTED = DONE, NO

MAX_FILE = 64 * 1024 * 1024
"""Maximum size of FILE, in bytes."""

TIMEOUT_SECONDS = 60.0
"""Longest wait for the lock's verdict, in seconds."""

SCRIPT = interpreter.ROOT / "sim" / "board" / "verify_main.py"
"""The program of the lock that judges a case."""


@dataclass(frozen=True)
class Case:
    """The content of FILE. Times are in seconds since 1970."""

    device_response: bytes
    session_transcript: bytes
    trust_roots: list[bytes]
    time: int
    reader_private_key: bytes | None
    doc_types: list[str] | None

    def inputs(self) -> list[Any]:
        """Return the inputs for `verify_main`."""
        return [
            # The lock refuses an input that is one byte too long. So at most one byte over the limit is passed on.
            self.device_response[: MAX_DEVICE_RESPONSE + 1],
            self.session_transcript[: MAX_DEVICE_RESPONSE + 1],
            self.trust_roots,
            [self.time, self.time],
            self.reader_private_key,
            self.doc_types,
        ]


def run(args: argparse.Namespace) -> int:
    """Judge `args.file` on `args.runtime`, and print the verdict as one JSON object. Returns the exit code."""
    runtime = args.runtime
    try:
        case = load(Path(args.file))
        lock = interpreter.find(runtime)
        runtime = str(lock)
        verdict = on_lock(lock, case) if lock.runtime == "micropython" else _here(case)
    except ConfigError as unusable:
        print(error_line(unusable.code, unusable.message), file=sys.stderr)
        _print(runtime, [], {"code": unusable.code, "message": unusable.message})
        return UNUSABLE
    _print(runtime, verdict["documents"], verdict["error"])
    return ACCEPTED if verdict["error"] is None else REJECTED


def _print(runtime: str, documents: list[Any], error: Mapping[str, str] | None) -> None:
    accepted = error is None
    print(
        json.dumps({"ok": accepted, "accepted": accepted, "runtime": runtime, "documents": documents, "error": error})
    )


# --- reading FILE ----------------------------------------------------------------------------------------------------


def load(path: Path) -> Case:
    """Return the case in the file `path`. Raises ConfigError with a `file.*` code if the file holds no valid case."""
    try:
        with path.open("rb") as source:
            data = source.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:  # a path with a null character raises ValueError
        raise ConfigError(
            "file.unreadable", f"FILE cannot be read: {getattr(error, 'strerror', None) or error}. Name another file"
        ) from None
    if len(data) > MAX_FILE:
        raise ConfigError("file.too_long", "FILE is longer than 64 MiB. Name a shorter one")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise ConfigError("file.json", "FILE is not JSON. `--help` shows its form") from None
    if not isinstance(content, dict):
        raise ConfigError("file.json", "FILE must contain one JSON object. `--help` shows its form")
    reader_key = content.get("reader_private_key")
    return Case(
        _hex(content.get("device_response"), "device_response"),
        _hex(content.get("session_transcript"), "session_transcript"),
        _roots(content.get("trust_roots")),
        _time(content.get("time")),
        None if reader_key is None else _private_key(_hex(reader_key, "reader_private_key")),
        _doc_types(content.get("doc_types")),
    )


def _hex(value: object, name: str) -> bytes:
    if not isinstance(value, str):
        raise ConfigError(f"file.{name}", f"`{name}` must be text in hex. `--help` shows the form of FILE")
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise ConfigError(f"file.{name}", f"`{name}` is not hex. `--help` shows the form of FILE") from None


def _roots(value: object) -> list[bytes]:
    if not isinstance(value, list):
        raise ConfigError("file.trust_roots", "`trust_roots` must be a list of certificates in hex")
    roots = [_hex(each, "trust_roots") for each in value]
    for root in roots:
        try:
            Certificate(root)
        except FormatError as error:
            raise ConfigError(
                "file.trust_roots", f"`trust_roots` has an item that is not a certificate ({error.code})"
            ) from None
    return roots


def _time(value: object) -> int:
    if not isinstance(value, str):
        raise ConfigError("file.time", "`time` must be text in ISO 8601")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise ConfigError("file.time", "`time` is not ISO 8601") from None


def _private_key(scalar: bytes) -> bytes:
    for curve, size in COORDINATE_BYTES.items():
        if len(scalar) == size:
            try:
                crypto_cpython.public(curve, scalar)
            except MooringError:
                break
            return scalar
    raise ConfigError("file.reader_private_key", "`reader_private_key` is not a private key of P-256 or P-384")


def _doc_types(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError("file.doc_types", "`doc_types` must be a list of text")
    try:
        cbor.encode(value)
    except FormatError:
        raise ConfigError("file.doc_types", "`doc_types` has text that is not Unicode") from None
    return value


# --- judging ---------------------------------------------------------------------------------------------------------


def _here(case: Case) -> dict[str, Any]:
    written = io.StringIO()
    verify_main.judge(crypto_cpython, case.inputs(), written)
    verdict: dict[str, Any] = json.loads(written.getvalue())
    return verdict


def on_lock(
    lock: interpreter.Interpreter, case: Case, script: Path = SCRIPT, seconds: float = TIMEOUT_SECONDS
) -> dict[str, Any]:
    """Let `script` judge `case` on `lock`, and return the verdict. No verdict within `seconds` is a rejection too."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs.cbor")
        inputs.write_bytes(cbor.encode(case.inputs()))
        try:
            done = subprocess.run(
                lock.command(script, str(inputs)),
                env=lock.environment(),
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _fault("lock.timeout", "the lock gave no verdict in time")
    try:
        verdict = json.loads(done.stdout)
    except ValueError:
        verdict = None
    if done.returncode != 0 or not isinstance(verdict, dict):
        return _fault("lock.crashed", f"the lock gave no verdict (exit code {done.returncode})")
    error = verdict["error"]
    if error is not None and not error["message"]:
        # The compiled lock has only the codes of errors. So judge the case here too, to get the sentence for the code.
        here = _here(case)["error"]
        if here is not None and here["code"] == error["code"]:
            error["message"] = here["message"]
    return verdict


def _fault(code: str, message: str) -> dict[str, Any]:
    return {"documents": [], "error": {"code": code, "message": message}}
