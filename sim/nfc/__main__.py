"""A virtual PN532 on its own, for any program that speaks to such a chip:

    python -m sim.nfc                    on a pty; prints the path of the serial port
    python -m sim.nfc --tcp 4532         on a socket, for a lock with MOORING_UART1=127.0.0.1:4532

A phone with an invented driving licence is held to the chip again and again. Arguments choose the faults, and --seed
decides when they happen.
"""

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Callable, Sequence

from sim.environment import incomplete

if incomplete("-m sim.nfc"):
    raise SystemExit(2)

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.command_line_cpython import DONE, INTERRUPTED, Parser
from protocol.errors import ConfigError
from sim import issuer, pki
from sim.answer import failed
from sim.arguments import number, whole_number
from sim.nfc.faults import Faults
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.phone.phone import Phone
from sim.phone.response import Credential

_BETWEEN = 1.0


def _phone() -> Phone:
    """Return a phone for the taps. The phone engages, but answers no request, because it trusts no reader authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    signer = pki.document_signer(pki.authority("TEST IACA", issuer.COUNTRY[issuer.MDL]))
    issued = issuer.issue(issuer.MDL, issuer.specimen(issuer.MDL), public, signer)
    return Phone([Credential(issuer.MDL, issued, key)], [])


def board(chosen: argparse.Namespace) -> VirtualPn532:
    """Return the virtual board that the command line describes."""
    wanted = Faults(**{fault.name: getattr(chosen, fault.name) for fault in dataclasses.fields(Faults)})
    return VirtualPn532(wanted, looks_between=8)


async def taps(board: VirtualPn532, say: Callable[[str], None]) -> None:
    """Hold a phone to `board` again and again, and print the outcome of each tap."""
    phone = _phone()
    while True:
        outcome = await phone.tap(board)
        say(f"{outcome.result}: {outcome.apdus} APDUs")
        await asyncio.sleep(_BETWEEN)


async def _run(chosen: argparse.Namespace) -> None:
    def say(line: str) -> None:
        print(line, flush=True)

    virtual = board(chosen)
    say(virtual.open_terminal() if chosen.tcp is None else await virtual.start(port=chosen.tcp))
    try:
        await (asyncio.Event().wait() if chosen.empty else taps(virtual, say))
    finally:
        await virtual.stop()


_CHANCE = number(0, 1), "CHANCE"
_SECONDS = number(0, 60), "SECONDS"
_COUNT = whole_number(0), "N"
_KINDS = {
    "air_lost": _CHANCE,
    "air_damaged": _CHANCE,
    "line_lost": _CHANCE,
    "line_damaged": _CHANCE,
    "line_late": _CHANCE,
    "late_seconds": _SECONDS,
}


def parser() -> Parser:
    """Return the parser for the arguments of `python -m sim.nfc`."""
    top = Parser(
        prog="python -m sim.nfc",
        description="A virtual PN532 on its own, for any program that speaks to such a chip. It prints the path of its "
        "serial port, or the port it listens on, and then the outcome of each tap. It runs until interrupted.",
    )
    top.add_version("sim.nfc")
    top.add_argument(
        "--tcp", type=whole_number(0, 65535), metavar="PORT", help="listen on this port (0: any) instead of a pty"
    )
    top.add_argument("--empty", action="store_true", help="hold no phone to it")
    faults = top.add_argument_group("faults", "Chances are numbers from 0 to 1. The same seed gives the same faults.")
    for fault in dataclasses.fields(Faults):
        name, meaning = "--" + fault.name.replace("_", "-"), fault.metadata["meaning"]
        if fault.type is bool:
            faults.add_argument(name, action="store_true", help=meaning)
            continue
        kind, shown = _KINDS.get(fault.name, _COUNT)
        if fault.default is not None:
            meaning += f" (default {fault.default})"
        faults.add_argument(name, type=kind, default=fault.default, metavar=shown, help=meaning)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program until it is interrupted."""
    chosen = parser().parse_args(arguments)
    try:
        asyncio.run(_run(chosen))
    except KeyboardInterrupt:
        return INTERRUPTED  # an interrupt is the normal end of this program
    except OSError as error:
        where = "no pseudo-terminal can be opened" if chosen.tcp is None else f"cannot listen on port {chosen.tcp}"
        advice = "" if chosen.tcp is None else ". Choose another port, or 0 for any"
        return failed(ConfigError("nfc.port", f"{where}: {error.strerror}{advice}"))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
