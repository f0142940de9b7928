"""Numbers with their noun, in singular or plural."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """The number and its noun: "1 record", "2 records". Give `plural` for a noun whose plural is not made with an s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
