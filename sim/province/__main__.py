"""`python -m sim.province`: run a province, show its data, make and check listing codes, and make the card beside a
door.
"""

import argparse
import contextlib
import json
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import segno
from rich.console import Console

from protocol import crypto_cpython as crypto
from protocol import listing_code
from protocol.command_line_cpython import NO, Parser
from protocol.crypto import is_point
from protocol.errors import ConfigError, FormatError, MooringError
from sim import arguments
from sim.answer import failed
from sim.progress import Progress, console
from sim.province import view
from sim.province.certificates import ACCESS, AUTHORITY, REVOKED, Certificates
from sim.province.database import DATABASE
from sim.province.edges import PASS_SECONDS, Edges
from sim.province.keys import Keys
from sim.province.placements import LINK, Placements
from sim.province.province import Province
from sim.province.store import Store
from sim.province.view import YEAR_10000
from sim.province.watch import Watch

_RELOAD = "the broker's files are in {folder}: let the broker read them again (Mosquitto: kill -HUP)"
BROKER_SECONDS = 10.0
"""Seconds that the broker may take to answer. After that the command fails."""
LONGEST_REQUEST = 65_536
"""How many bytes of a certificate request are read. A longer one is cut off, so it is refused."""


LOOK_SECONDS = 60.0
"""Seconds between two looks for silent locks."""

_log = logging.getLogger("mooring.province")


def parser() -> Parser:
    """Return the parser for the arguments of `python -m sim.province`."""
    top = Parser(
        prog="python -m sim.province",
        description="A stand-in for the province, the only party that can open records.",
    )
    top.add_version("sim.province")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser(
        "show",
        help="show the data of a province",
        description="Shows locks with their counters, receipts and signs of life, which locks are or were silent and "
        "since when, every registration with its fields and the verdict on its quality, what is in quarantine and why, "
        "and how much came twice. The province may be running.",
    )
    show.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    show.add_json()
    run = commands.add_parser(
        "run",
        help="run a province until interrupted",
        description="Takes messages from the broker, commits and answers them, until SIGINT or SIGTERM. Several "
        "provinces may share a data folder. The first run makes the keys. The printed key is for enrolling locks. On "
        "stderr, a line says which lock falls silent, with its edge and since when, and when it is heard again.",
    )
    run.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the province's data folder; it is made if missing"
    )
    run.add_argument("--host", type=arguments.host, default="127.0.0.1", help="the broker's host (default %(default)s)")
    run.add_argument(
        "--admit",
        action="append",
        default=[],
        metavar="EDGE",
        help="admit the edge with this name to all locks; the next key that asks under it gets a pass; may be repeated",
    )
    run.add_argument(
        "--port",
        type=arguments.whole_number(1, 65535),
        default=1883,
        metavar="PORT",
        help="the broker's MQTT 5 port (default %(default)s)",
    )
    certify = commands.add_parser(
        "certify",
        help="sign an edge's first certificate for the broker",
        description="Signs the request that `enroll` made on an edge that is admitted. Its earlier certificates are "
        "revoked. The edge renews this certificate by itself. Also writes the broker's files.",
    )
    certify.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    certify.add_argument("--request", type=Path, required=True, metavar="FILE", help="the request (PEM)")
    certify.add_argument("--cert", type=Path, required=True, metavar="FILE", help="write the certificate to this file")
    _add_broker(certify)
    revoke = commands.add_parser(
        "revoke",
        help="cut an edge off",
        description="Refuses everything from an edge from now on, also in provinces that run, until it is admitted "
        "again. Revokes its certificates, and writes the broker's files. Let the broker read them again.",
    )
    revoke.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    revoke.add_argument("--edge", type=arguments.text, required=True, metavar="NAME", help="the edge's name")
    _add_broker(revoke)
    code = commands.add_parser(
        "code",
        help="make the listing code for a door, as text and as a QR code",
        description="Signs the text of the QR code beside a door: listing code, address, door and target of the link.",
    )
    code.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    code.add_argument("--listing", type=arguments.text, required=True, metavar="CODE", help="the listing code")
    code.add_argument(
        "--place", type=arguments.text, metavar="ADDRESS", help="the address (default: that of the lock placed there)"
    )
    _add_door_and_link(code)
    code.add_argument("--text", action="store_true", help="print only the text, for a printer")
    card = commands.add_parser(
        "card",
        help="make the card beside a door, as SVG and as PDF",
        description="Draws an A5 card for the wall beside a door: how to check in, whom to call, and the listing code "
        "of the lock that is placed there. It is black, and can be read at one metre.",
    )
    card.add_argument("--data", type=Path, required=True, metavar="DIR", help="the province's data folder")
    card.add_argument("--listing", type=arguments.text, required=True, metavar="CODE", help="the listing code")
    card.add_argument(
        "--phone", type=arguments.text, required=True, metavar="NUMBER", help="the phone number that helps"
    )
    card.add_argument("--svg", type=Path, metavar="FILE", help="write the card to this file as SVG")
    card.add_argument("--pdf", type=Path, metavar="FILE", help="write the card to this file as PDF")
    _add_door_and_link(card)
    card.add_argument("--font", type=Path, metavar="FILE", help="an OpenType font (default: that of the environment)")
    card.add_json()
    check = commands.add_parser(
        "check-code",
        help="check a listing code; this needs only the province's public key",
        description="Prints what a listing code says, if the province signed it and its link has the signed target.",
    )
    check.add_argument("text", metavar="TEXT", help="the text that a scanner reads from the QR code, or - for stdin")
    check.add_argument(
        "--key", required=True, metavar="HEX", help="the province's public key, as `run` and `code` print it"
    )
    check.add_json()
    return top


def _add_broker(command: Parser) -> None:
    command.add_argument(
        "--broker",
        type=Path,
        required=True,
        metavar="FOLDER",
        help=f"write {AUTHORITY}, {REVOKED} and {ACCESS} for the broker to this folder",
    )
    command.add_argument(
        "--user",
        type=arguments.text,
        default="province.mooring",
        metavar="NAME",
        help="the province's user at the broker, with a dot, so that no edge has it (default %(default)s)",
    )


def _add_door_and_link(command: Parser) -> None:
    command.add_argument(
        "--door", type=int, default=1, metavar="N", help="which door of the listing (default %(default)s)"
    )
    command.add_argument(
        "--link",
        type=arguments.text,
        default=LINK,
        metavar="URL",
        help="the target of the link, in capitals (default %(default)s)",
    )


def _show(folder: Path, as_json: bool) -> int:
    _must_hold_a_province(folder)
    with contextlib.closing(Store(folder)) as store:
        if as_json:
            print(json.dumps({"ok": True, **view.as_json(store, int(time.time()))}, ensure_ascii=False))
        else:
            view.show(store, Console(), int(time.time()))
    return 0


def _run(folder: Path, host: str, port: int, admitted: list[str]) -> int:
    province = Province(folder, host, port)
    try:
        for edge in admitted:
            province.admit_edge(edge)
        over = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
        with Progress(console(stderr=True)) as progress:
            progress.waiting(f"broker {host}:{port}")
            province.start(timeout=BROKER_SECONDS)
        print(f"province key {province.public.hex()}", flush=True)
        watch = Watch(province.store)
        while not over.wait(LOOK_SECONDS):
            try:
                lines = watch.look(int(time.time()))
            except sqlite3.Error as error:
                _log.error("the store failed: %s", type(error).__name__)
                continue
            for line in lines:
                _log.warning("%s", line)
    finally:
        province.stop()
    return 0


def _certify(chosen: argparse.Namespace) -> int:
    _must_hold_a_province(chosen.data)
    keys = Keys.load_or_generate(chosen.data)
    arguments.writable(chosen.cert, "--cert")
    try:
        with chosen.request.open("rb") as source:
            request = source.read(LONGEST_REQUEST)
    except OSError as error:
        raise ConfigError(
            "edge.request", f"{chosen.request} cannot be read: {error.strerror}. Name the file with --request"
        ) from None
    with contextlib.closing(Store(chosen.data)) as store:
        certificates = Certificates(store, keys, time.time)
        edge, pem = certificates.first(request)
        certificates.write_broker_files(chosen.broker, chosen.user)
    chosen.cert.write_bytes(pem)
    print(f"{chosen.cert}: the certificate of edge {edge}. Put it where mqtt.cert says.")
    print(_RELOAD.format(folder=chosen.broker))
    return 0


def _revoke(chosen: argparse.Namespace) -> int:
    _must_hold_a_province(chosen.data)
    keys = Keys.load_or_generate(chosen.data)
    with contextlib.closing(Store(chosen.data)) as store:
        Edges(store, keys, time.time).revoke(chosen.edge)
        certificates = Certificates(store, keys, time.time)
        certificates.revoke(chosen.edge)
        certificates.write_broker_files(chosen.broker, chosen.user)
    print(f"edge {chosen.edge} is revoked: it gets no answer from now on")
    print(f"its last pass ends within {PASS_SECONDS // 86400} days; until then it can still talk to locks in its reach")
    print(_RELOAD.format(folder=chosen.broker))
    return 0


def _code(chosen: argparse.Namespace) -> int:
    _must_hold_a_province(chosen.data)
    keys = Keys.load_or_generate(chosen.data)
    try:
        with contextlib.closing(Store(chosen.data)) as store:
            text = Placements(store, keys, time.time).code(chosen.listing, chosen.place, chosen.door, chosen.link)
    except FormatError as error:
        raise ConfigError(
            error.code, f"{error.message}. Member 2 is --listing, 3 is --place, 5 is --link: change that option"
        ) from error
    if not chosen.text:
        segno.make(text, error="m", boost_error=False).terminal(compact=True)
        print(f"province key {keys.signing_public.hex()}")
    print(text)
    return 0


def _card(chosen: argparse.Namespace) -> int:
    from sim.paper import card
    from sim.paper.font import Font, installed

    files = {kind: file for kind, file in (("svg", chosen.svg), ("pdf", chosen.pdf)) if file is not None}
    if not files:
        raise ConfigError("card.file", "there is no file to write the card to. Name one with --svg, --pdf or both")
    for kind, file in files.items():
        arguments.writable(file, f"--{kind}")
    _must_hold_a_province(chosen.data)
    font = Font(chosen.font or installed())
    keys = Keys.load_or_generate(chosen.data)
    try:
        with contextlib.closing(Store(chosen.data)) as store:
            text = Placements(store, keys, time.time).code(chosen.listing, door=chosen.door, link=chosen.link)
    except FormatError as error:
        raise ConfigError(error.code, f"{error.message}. Member 5 is --link: change that option") from error
    except ConfigError as error:
        if error.code != "listing-code.place":
            raise
        nobody = f"no lock is placed at door {chosen.door} of {chosen.listing}"
        raise ConfigError("card.listing", f"{nobody}. Choose another one with --listing and --door") from error
    code = listing_code.read(crypto, text, keys.signing_public)
    sheet = card.drawn(card.Card(text, code.listing, code.door, code.place, chosen.phone), font)
    if "svg" in files:
        files["svg"].write_text(sheet.svg(), encoding="utf-8")
    if "pdf" in files:
        files["pdf"].write_bytes(sheet.pdf(datetime.fromtimestamp(code.issued_at, UTC)))
    if chosen.json:
        named = {kind: str(file) for kind, file in files.items()}
        print(json.dumps({"ok": True, "text": text, **named}, ensure_ascii=False))
    else:
        for file in files.values():
            print(f"{file}: the card of listing {code.listing}, door {code.door}, {code.place}")
    return 0


def _check_code(text: str, key: str, as_json: bool) -> int:
    try:
        public = bytes.fromhex(key)
    except ValueError:
        public = b""
    if not is_point(crypto, "P-256", public):
        raise ConfigError(
            "listing-code.key", "--key is not a public key. Give the province's key: a point of P-256, 65 bytes in hex"
        )
    if text == "-":
        text = sys.stdin.buffer.read(listing_code.MAX_TEXT + 2).decode(errors="replace")
    try:
        code = listing_code.read(crypto, text.strip(), public)
    except MooringError as error:
        told = {"ok": False, "genuine": False, "error": {"code": error.code, "message": error.message}}
        print(json.dumps(told) if as_json else f"not genuine: {error}")
        return NO
    issued = datetime.fromtimestamp(code.issued_at, UTC).strftime("%Y-%m-%d") if code.issued_at < YEAR_10000 else "?"
    if as_json:
        print(json.dumps({"ok": True, "genuine": True, **vars(code)}, ensure_ascii=False))
    else:
        print(f"genuine: listing {code.listing}, {code.place}, door {code.door}, issued {issued}, leads to {code.link}")
    return 0


def _must_hold_a_province(folder: Path) -> None:
    if not (folder / DATABASE).exists():
        raise ConfigError(
            "province.data",
            f"{folder} has no province in it. --data must name the data folder of a province that has run",
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    0: success. 1: the listing code is not genuine, or nobody reads the output. 2: arguments or data are bad.
    """
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "check-code":
            return _check_code(chosen.text, chosen.key, chosen.json)
        with _usable(chosen.data):
            if chosen.command == "show":
                return _show(chosen.data, chosen.json)
            if chosen.command == "certify":
                return _certify(chosen)
            if chosen.command == "revoke":
                return _revoke(chosen)
            if chosen.command == "code":
                return _code(chosen)
            if chosen.command == "card":
                return _card(chosen)
            return _run(chosen.data, chosen.host, chosen.port, chosen.admit)
    except (MooringError, KeyboardInterrupt) as error:
        return failed(error, getattr(chosen, "json", False))
    except BrokenPipeError:
        # The reader of the output (`| head`) has left, so nobody would read a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into ConfigError `province.data`."""
    try:
        yield
    except BrokenPipeError:
        raise  # this error concerns the output and not the folder
    except OSError as error:
        raise ConfigError(
            "province.data",
            f"{error.filename or folder} cannot be used: {error.strerror}. Name another folder with --data",
        ) from error
    except sqlite3.Error as error:
        advice = (
            f"{folder / DATABASE} cannot be used: {error}. If it is damaged, restore a backup: receipts depend on it"
        )
        raise ConfigError("province.data", advice) from error


if __name__ == "__main__":
    sys.exit(main())
