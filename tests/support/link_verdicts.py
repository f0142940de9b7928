"""How each runtime judges messages of the link: the kind of the message, or the code of the refusal."""

from collections.abc import Sequence

from protocol import link
from protocol.errors import FormatError
from tests.support.on_lock import run_on_lock

_ON_LOCK = """
from protocol import link
from protocol.errors import FormatError
def verdict(message):
    try:
        return str(link.parse(message)[0])
    except FormatError as error:
        return error.code
answer([verdict(bytes.fromhex(m)) for m in given])
"""


def here(messages: Sequence[bytes]) -> list[str]:
    """Let CPython judge `messages`."""
    verdicts = []
    for message in messages:
        try:
            verdicts.append(str(link.parse(message)[0]))
        except FormatError as error:
            verdicts.append(error.code)
    return verdicts


def on_lock(messages: Sequence[bytes]) -> list[str]:
    """Let the lock's interpreter judge `messages`."""
    verdicts: list[str] = run_on_lock(_ON_LOCK, [message.hex() for message in messages])
    return verdicts
