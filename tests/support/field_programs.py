"""Translates programs of the field machine to Python functions like those in `firmware.crypto.field`."""

import ast

_MEANINGS = {
    "*": "({0}) * ({1}) % p",
    ".": "({0}) * ({1})",
    "+": "({0}) + ({1})",
    "-": "({0}) - ({1})",
    "%": "(({0}) - ({1})) % p",
    "3": "({0}) * 3",
}
_HEAD = 'def _{}(slots: "list[int]", p: int, minus: int, times: int) -> None:'


def as_python(name: str, program: bytes, _start: int, _count: int) -> str:
    """Return the source of a function that does what `program` does. Only a doubling has a loop.

    If only the next instruction uses a number, the number gets no name. The slot O becomes a literal 0.
    """
    text = program.decode().replace("O", "0")
    instructions = [text[place : place + 4] for place in range(0, len(text), 4)]
    loads: list[str] = []
    body: list[str] = []
    known = {"0"}
    before = ""
    for target, first, operation, second in (list(instruction.lower()) for instruction in instructions):
        for slot in first if operation == "3" else first + second:
            if slot not in known:
                known.add(slot)
                loads.append(f"{slot} = slots[{ord(slot) & 31}]")
        known.add(target)
        if operation == "!":
            body.append(f"slots[6] |= not {first}")
            before = ""
            continue
        last = body[-1].partition(" = ")[2] if target == before else ""
        if operation == "?":
            chosen = last if last and second == target != first else second
            expression = first if first == second else f"({chosen}) if minus else {first}"
            merged = last and second == target != first
        else:
            merged = last and first == target != second
            expression = _MEANINGS[operation].format(last if merged else first, second)
        if merged:
            body.pop()
        body.append(ast.unparse(ast.parse(f"{target} = {expression}")))
        before = target
    kept = dict.fromkeys(instruction[0] for instruction in instructions if instruction[0].isupper())
    stores = [f"slots[{ord(slot) & 31}] = {slot.lower()}" for slot in kept]
    if name == "double":
        body = ["for _ in range(times):", *["    " + line for line in body]]
    return "\n".join([_HEAD.format(name), *["    " + line for line in [*loads, *body, *stores]]])
