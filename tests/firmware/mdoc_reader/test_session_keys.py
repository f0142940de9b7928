"""Ephemeral keys are made in advance. A key is ready when it is needed, and each key is given out only once."""

from firmware.mdoc_reader.session_keys import SessionKeys
from protocol import crypto_cpython as crypto


class Counting:
    """Cryptography that counts the key pairs that it makes."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def generate(self, curve: str) -> tuple[bytes, bytes]:
        self.made.append(curve)
        return crypto.generate(curve)


def test_a_key_made_while_idle_is_the_one_given_and_is_given_once() -> None:
    counting = Counting()
    keys = SessionKeys(counting)  # type: ignore[arg-type]  # SessionKeys uses nothing else
    keys.prepare()
    keys.prepare()
    assert counting.made == ["P-256"]
    first = keys.take("P-256")
    assert counting.made == ["P-256"] and crypto.public("P-256", first[0]) == first[1]
    assert len({first[0], keys.take("P-256")[0], keys.take("P-256")[0]}) == 3
    assert len(counting.made) == 3


def test_a_key_on_another_curve_is_made_when_it_is_asked_for_and_leaves_the_ready_one() -> None:
    counting = Counting()
    keys = SessionKeys(counting)  # type: ignore[arg-type]  # SessionKeys uses nothing else
    keys.prepare()
    private, public = keys.take("P-384")
    assert crypto.public("P-384", private) == public and counting.made == ["P-256", "P-384"]
    keys.take("P-256")
    assert counting.made == ["P-256", "P-384"]
