"""The table of what the lock costs on its chip. Each row has a count and an aim."""

from collections.abc import Mapping
from dataclasses import dataclass

MILLION, KB = 1_000_000, 1024


@dataclass(frozen=True)
class Row:
    """One row. `name` is the key of the count. `aim` is the most that the count may be, in the row's `unit`."""

    name: str
    title: str
    unit: int
    aim: float


ROWS = (
    Row("visit", "heap that a visit needs, with the tasks for BLE and the edge link", KB, 140),
    Row("first", "first check-in, from the notice of the phone to the strike", MILLION, 50),
    Row("first, collections", "garbage collections during a first check-in", 1, 10),
    Row("same ID", "the same ID again", MILLION, 25),
    Row("p256", "P-256 verification, nothing beside it", MILLION, 5),
    Row("beside", "P-256 verification, beside the loaded lock", MILLION, 6),
    Row("p384", "P-384 verification", MILLION, 15),
    Row("sm2", "SM2 verification", MILLION, 7),
    Row("SHA-384", "SHA-384 of 3 KB", MILLION, 3),
    Row("SM3", "SM3 of 3 KB", MILLION, 3),
    Row("boot", "boot, from the import to ready", MILLION, 100),
)
"""The rows with an aim."""

OTHERS = {
    "known issuer": "first check-in of a guest whose issuer is known",
    "stay key": "entry by stay key",
    "PIN": "entry by PIN",
    "p521": "P-521 verification",
    "sign": "P-256 signature",
    "ecdh": "P-256 key agreement",
    "generate": "P-256 key pair",
    "gcm": "AES-256-GCM of 3 KB",
    "SHA-256": "SHA-256 of 3 KB",
    "SHA-512": "SHA-512 of 3 KB",
    "import": "import of the lock's modules",
}
"""The rows without an aim. They are counted in millions of instructions."""


def lines(counts: Mapping[str, int]) -> list[str]:
    """Return the lines of the table, in Markdown. `counts` has a number of bytes for "visit", and numbers of
    instructions for all other rows. If a row was not counted, the row says so."""
    made = ["| | counted | aim | |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        unit = {KB: " KB", MILLION: " M"}.get(row.unit, "")
        if row.name not in counts:
            made.append(f"| {row.title} | not counted | {row.aim:g}{unit} | |")
            continue
        counted = counts[row.name] / row.unit
        shown = f"{counted:.0f}" if row.unit == 1 else _short(counted)
        verdict = "met" if counted <= row.aim else f"missed, {counted / row.aim:.1f} times"
        made.append(f"| {row.title} | {shown}{unit} | {row.aim:g}{unit} | {verdict} |")
    for name, title in OTHERS.items():
        if name in counts:
            made.append(f"| {title} | {_short(counts[name] / MILLION)} M | | |")
    return made


MOST_OBJECTS = 200
"""A verification or a hash must put fewer objects than this on the heap."""
FRUGAL = ("p256", "p384", "p521", "sm2", "SHA-384", "SHA-512", "SM3")
"""The rows for which the objects are counted. `counts` has the number of objects as `p256, objects`, and so on."""


def objects(counts: Mapping[str, int]) -> list[str]:
    """Return the lines of the table of objects on the heap, in Markdown."""
    titles = {row.name: row.title.partition(",")[0] for row in ROWS} | OTHERS
    made = ["| | objects | fewer than | |", "| --- | --- | --- | --- |"]
    for name in FRUGAL:
        count = counts.get(name + ", objects")
        verdict = "| |" if count is None else "| met |" if count < MOST_OBJECTS else "| missed |"
        made.append(f"| {titles[name]} | {'not counted' if count is None else count} | {MOST_OBJECTS} {verdict}")
    return made


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


# --- the collector ---------------------------------------------------------------------------------------------------

HEAPS, THRESHOLDS = (150, 200), (16, 32, 0)
"""Sizes of the heap and thresholds of the collector in KB. The threshold 0 means: only when the heap is full."""


def curve(heap: int, threshold: int) -> str:
    """Return the key of the count of a first check-in with this heap and this threshold."""
    return f"first, {heap} KB, threshold {threshold}"


def curve_lines(counts: Mapping[str, int]) -> list[str]:
    """Return a table in Markdown: a first check-in for each heap and each threshold of the collector."""
    made = ["| collect after | " + " | ".join(f"{heap} KB of heap" for heap in HEAPS) + " |"]
    made.append("| --- |" + " --- |" * len(HEAPS))
    for threshold in THRESHOLDS:
        cells = []
        for heap in HEAPS:
            name = curve(heap, threshold)
            known = name in counts
            cells.append(
                f"{counts[name] / MILLION:.1f} M, {counts[name + ', collections']}" if known else "not counted"
            )
        made.append(f"| {f'{threshold} KB' if threshold else 'the heap is full'} | " + " | ".join(cells) + " |")
    return made
