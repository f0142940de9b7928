"""Numbers as people say them."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 record", "2 records": the noun in the form that fits the number; `plural` is for those that add no s."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
