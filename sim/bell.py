"""A bell rings when a part of a site has something to report. The code that watches the site listens to the bell."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bell:
    """A bell that each part of a site rings when it has reported something. The bell does not say what is new.

    While nobody listens, a ring does nothing.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Call every listener in this thread. A part that runs in a separate thread rings in that thread."""
        for listener in tuple(self._listeners):
            listener()

    @contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call `listener` at each ring until the block ends. `listener` must return at once."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
