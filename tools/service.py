"""The subcommands that talk to a lock in service. Each function takes the options and returns the facts for JSON."""

import argparse
import os
from typing import Any

from protocol.errors import ConfigError, StorageError, VerificationError
from protocol.fittings import LONGEST, Fittings
from tools.board import choose
from tools.cable import Cable


def status(options: argparse.Namespace) -> dict[str, Any]:
    """Print the lock's report about itself."""
    with _cable(options) as cable:
        told = cable.status()
    facts = {
        "lock": None if told.lock_id is None else told.lock_id.hex(),
        "next_counter": told.next_counter,
        "receipted_through": told.receipted_through,
        "placed": told.placed,
        "timed": told.timed,
        "free": told.free,
        "up_ms": told.up,
        "button": told.button,
        "halted": told.halted,
    }
    if not options.json:
        waiting = max(0, told.next_counter - 1 - told.receipted_through)
        print(f"lock      {facts['lock'] or 'unknown: its memory cannot be read'}")
        print(f"serves    {'yes' if told.halted is None else 'no: ' + told.halted}")
        print(f"records   next {told.next_counter}, receipts through {told.receipted_through}, {waiting} with none")
        print(f"trusts    {'placement, trust list and profile' if told.placed else 'not all statements are here yet'}")
        print(f"time      {'known' if told.timed else 'not known yet'}")
        print(f"button    {told.button}")
        print(f"up        {told.up // 1000} s, {told.free} bytes free")
    return facts


def log(options: argparse.Namespace) -> dict[str, Any]:
    """Print the last lines of the lock's log."""
    with _cable(options) as cable:
        lines = cable.log()
    if not options.json:
        print("\n".join(lines))
    return {"lines": lines}


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Make a new file with the records that have no receipt yet, as a CBOR sequence (RFC 8742). The records stay
    sealed.

    Raises StorageError `file.exists` if the file exists already. Raises VerificationError `record.lock` for a record of
    another lock.
    """
    if options.file.exists():
        raise StorageError("file.exists", f"{options.file} exists already. Name a new file")
    counters: list[int] = []
    content = bytearray()
    with _cable(options) as cable:
        lock_id = cable.status().lock_id
        for found in cable.records():
            if found.lock_id != lock_id:
                raise VerificationError("record.lock", "the lock sent a record of another lock")
            counters.append(found.counter)
            content += found.raw
    # The file appears complete or not at all, and replaces no other file.
    part = options.file.with_name(options.file.name + ".part")
    part.write_bytes(content)
    os.replace(part, options.file)
    first, last = (counters[0], counters[-1]) if counters else (None, None)
    if not options.json:
        which = f", {first} to {last}" if counters else ""
        print(f"{options.file}: {len(counters)} record{'' if len(counters) == 1 else 's'}{which}, {len(content)} bytes")
    return {"file": str(options.file), "records": len(counters), "first": first, "last": last, "bytes": len(content)}


def fittings(options: argparse.Namespace) -> dict[str, Any]:
    """Print the lock's fittings, or send the fittings in a file to the lock. Raises ConfigError `fittings.form` if the
    file has the wrong form.
    """
    if options.file is None:
        with _cable(options) as cable:
            told = cable.fittings().decode("utf-8", "replace")
        if not options.json:
            print(told)
        return {"fittings": told, "written": False}
    with options.file.open("rb") as source:
        content = source.read(LONGEST + 1)
    try:
        Fittings.parse(content)
    except ConfigError as error:
        advice = f"{options.file}: {error.message}. Correct it as docs/installing.md describes."
        raise ConfigError(error.code, advice) from None
    with _cable(options) as cable:
        cable.fit(content)
    if not options.json:
        print("written; the lock restarts with these fittings")
    return {"fittings": content.decode(), "written": True}


def self_test(options: argparse.Namespace) -> dict[str, Any]:
    """Let the lock test one of its parts."""
    inputs = None
    with _cable(options) as cable:
        if options.part == "inputs":
            inputs = cable.inputs()
        else:
            cable.act(options.part)
    if not options.json:
        for name, active in sorted((inputs or {}).items()):
            print(f"{name:9} {'away from rest' if active else 'at rest'}")
        if inputs is None or not inputs:
            print("no inputs are fitted" if inputs is not None else f"{options.part}: done")
    return {"part": options.part, "inputs": inputs}


def _cable(options: argparse.Namespace) -> Cable:
    return Cable(choose(options.port), options.timeout)
