"""Computes the time of each kind of tap on the chip, and draws a picture of these times.

A time is the sum of three parts: air, computation and flash.

Nothing here was measured on a chip. `tests/benchmarks/test_air_counts.py` counts what is sent, and the time on the air
comes from these counts. The time of computation comes from instructions that were counted in qemu. The time of flash
comes from a data sheet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from protocol import cbor, stay_key
from sim.nfc.antenna import FRAME_DELAY, seconds_on_air

CLOCK_HZ = 160_000_000
"""The chip's clock. This module assumes that each instruction takes one cycle. Real times are longer."""

CHECK_IN_NFC_MS = 309
"""Time on the air for a resident e-ID, over NFC at 106 kbit/s. This type is the first one that the lock requests
("resident e-ID, 1st")."""
CHECK_IN_BLE_MS = 225
"""Time on the air for the same document over BLE. The time begins at the connection. The MTU is 515, and the connection
interval is 15 ms."""
ENGAGEMENT_MS = 60
"""If the document goes over BLE, six commands with about 600 bytes still go over NFC. This is their time on the air."""
FINDING_MS = 50
"""The phone and the lock are assumed to need this time to find each other over BLE."""
PAGE_MS, PAGES = 0.4, 4
"""Programming a page of 256 bytes typically takes this time, and at most 3 ms (Winbond W25Q32JV, tPP). A record of 627
bytes and its header are in four pages. Nothing is erased during a tap."""


@dataclass(frozen=True)
class Budget:
    """One kind of tap, with its milliseconds on the air, its milliseconds of computation and those of flash. `most` is
    the aim, or None."""

    title: str
    air: float
    compute: float
    flash: float
    most: float | None = None

    @property
    def whole(self) -> float:
        """The sum, in milliseconds."""
        return self.air + self.compute + self.flash


OTHERS = (
    ("Home Key, fast", 200),
    ("Home Key on ST25R3916 (HomeKey-ESP32)", 145),
    ("Home Key on PN532 (HomeKey-ESP32)", 396),
    ("Home Key, with attestation", 1000),
    ("Aliro on ESP32 and PN532, fast", 569),
    ("Aliro on ESP32 and PN532, standard", 2047),
    ("Nuki, more than", 2000),
)
"""Times that other projects and their users report, in milliseconds."""


def _commands_ms(*exchanges: tuple[int, int]) -> float:
    """Return the milliseconds on the air at 106 kbit/s for an activation and for commands. Each command and each answer
    is one block."""
    frames = [2 + 2, 8 + 2, *(size + 3 for exchange in exchanges for size in exchange)]
    return 1000 * sum(seconds_on_air(size) + FRAME_DELAY for size in frames)


def stay_key_ms() -> float:
    """Return the milliseconds on the air at 106 kbit/s for an opening by stay key: two commands."""
    proofs = cbor.encode([1, bytes(stay_key.NONCE_BYTES), bytes(stay_key.MAX_KEYS * stay_key.LOCK_PROOF_BYTES)])
    challenge, proof = 3 + stay_key.NONCE_BYTES + 2, 3 + stay_key.PHONE_PROOF_BYTES + 2
    return _commands_ms((len(stay_key.select()), challenge), (len(proofs) + 6, proof))


def in_vain_ms() -> float:
    """Return the milliseconds on the air for the question for a stay key, at a phone without stay keys. Only when the
    phone could not answer does the lock ask for a document."""
    return _commands_ms((len(stay_key.select()), 2)) - _commands_ms()


def budgets(counts: Mapping[str, int]) -> list[Budget]:
    """Return the budgets of all kinds of taps whose instructions are in `counts`."""
    flash, vain = PAGE_MS * PAGES, in_vain_ms()
    shown = CHECK_IN_NFC_MS + vain
    kinds: list[tuple[str, str, float, float | None]] = [
        ("first check-in by NFC", "first", shown, 1000),
        ("first check-in by BLE", "first", vain + ENGAGEMENT_MS + FINDING_MS + CHECK_IN_BLE_MS, None),
        ("first check-in, issuer known", "known issuer", shown, None),
        ("the same ID again", "same ID", shown, 500),
        ("stay key", "stay key", stay_key_ms(), 150),
        ("PIN", "PIN", 0, None),
    ]
    return [
        Budget(title, air, counts[name] * 1000 / CLOCK_HZ, flash, most)
        for title, name, air, most in kinds
        if name in counts
    ]


def lines(counts: Mapping[str, int]) -> list[str]:
    """Return the budgets as a table in Markdown."""
    made = ["| tap | air | computation | flash | together | aim |", "| --- | --- | --- | --- | --- | --- |"]
    for one in budgets(counts):
        aim = "" if one.most is None else f"{one.most:g} ms, {'met' if one.whole <= one.most else 'missed'}"
        parts = " | ".join(f"{part:.0f} ms" for part in (one.air, one.compute, one.flash, one.whole))
        made.append(f"| {one.title} | {parts} | {aim} |")
    return made


# --- the picture -----------------------------------------------------------------------------------------------------

_COLOURS = {"air": "#4c78a8", "computation": "#f58518", "flash": "#e45756", "others": "#9aa0a6"}
_LEFT, _WIDTH, _ROW, _TOP = 270, 560, 24, 60


def picture(counts: Mapping[str, int]) -> str:
    """Return a picture in SVG. Its bars show the budgets, and the times that others report."""
    bars = budgets(counts)
    scale = _WIDTH / max([one.whole for one in bars] + [ms for _, ms in OTHERS])
    height = _TOP + _ROW * (len(bars) + len(OTHERS) + 1) + 24
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" font-size="13">',
        "<style>text { font-family: sans-serif }</style>",
        "<title>The time of each kind of tap at 160 MHz, computed, beside figures that others publish</title>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="24" font-size="15" fill="#202124">milliseconds until the strike moves</text>',
    ]
    for number, (name, colour) in enumerate(_COLOURS.items()):
        made.append(f'<rect x="{_LEFT + 130 * number}" y="36" width="12" height="12" fill="{colour}"/>')
        made.append(f'<text x="{_LEFT + 18 + 130 * number}" y="47" fill="#202124">{name}</text>')
    for number, one in enumerate(bars):
        parts = (("air", one.air), ("computation", one.compute), ("flash", one.flash))
        made += _bar(_TOP + _ROW * number, one.title, [(_COLOURS[name], ms) for name, ms in parts], scale)
        if one.most is not None:
            at, top = _LEFT + one.most * scale, _TOP + _ROW * number
            made.append(f'<path d="M{at:.1f} {top} v{_ROW - 4}" stroke="#202124" stroke-dasharray="3 2"/>')
    for number, (title, ms) in enumerate(OTHERS, len(bars) + 1):
        made += _bar(_TOP + _ROW * number, title, [(_COLOURS["others"], ms)], scale)
    made.append(f'<text x="12" y="{height - 10}" fill="#5f6368">Dashed: the aim. Grey: published by others.</text>')
    return "\n".join([*made, "</svg>", ""])


def _bar(top: int, title: str, parts: list[tuple[str, float]], scale: float) -> list[str]:
    made = [f'<text x="{_LEFT - 8}" y="{top + 15}" text-anchor="end" fill="#202124">{escape(title)}</text>']
    at = float(_LEFT)
    for colour, ms in parts:
        made.append(f'<rect x="{at:.1f}" y="{top + 2}" width="{ms * scale:.1f}" height="{_ROW - 8}" fill="{colour}"/>')
        at += ms * scale
    total = sum(ms for _, ms in parts)
    made.append(f'<text x="{at + 6:.1f}" y="{top + 15}" fill="#202124">{total:.0f}</text>')
    return made
