"""`UUID` of the stand-in `bluetooth`. Runs on both runtimes of the lock."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class UUID:
    """As `bluetooth.UUID`: from an int (16 bits), a string, or little-endian bytes of 2, 4 or 16."""

    def __init__(self, value: "int | str | bytes") -> None:
        if isinstance(value, int):
            raw = value.to_bytes(2, "little")
        elif isinstance(value, str):
            raw = bytes.fromhex(value.replace("-", ""))
            raw = bytes(raw[15 - i] for i in range(16))
        else:
            raw = bytes(value)
        if len(raw) not in (2, 4, 16):
            raise ValueError("a UUID has 2, 4 or 16 bytes")
        self._raw = raw

    def __iter__(self) -> "Iterator[int]":
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __getitem__(self, index: "Any") -> "Any":
        return self._raw[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UUID) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return "UUID(" + bytes(reversed(self._raw)).hex() + ")"
