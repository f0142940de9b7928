"""Makes a text from a number and a noun. The noun is in the singular or the plural."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return the number and its noun: "1 record", "2 records". Give `plural` for an irregular plural."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
