"""In which order phones are asked for documents, from one tap to the next.

Many wallets hold one kind of document. Some end the session when they are asked for another, and libraries in use throw
when one of several kinds is missing; such a phone says nothing then, and never will. So a session asks for one request
of the profile after the other, and when the holder leaves it the next taps ask differently:

    in order ─▶ all the rest in one request ─▶ one type a tap ─▶ in order
                (while a session lives and brings nothing, it goes on to what it has not asked for)

That is remembered for a minute after the last such session, and for all phones alike: nothing here knows one from
another. What is asked depends on the profile, the trust list and how the last sessions ended, and never on who is
expected.
"""

from firmware import ticks
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.reader import Reading

    Requests = list[list[str]]

_REMEMBERED_MS = const(60000)
_IN_ORDER = const(0)
_THE_REST = const(1)
_ONE_BY_ONE = const(2)
_TAKEN_AWAY = const(("nfc.gone", "ble.lost"))


class Asking:
    """What the next session asks for. A request is a list of document types."""

    def __init__(self) -> None:
        self.requests: Requests = []
        self._began = 0
        self.forget()

    def forget(self) -> None:
        """From the start: the door has opened, or everything has been asked for, or nobody has come for so long."""
        self.mode = _IN_ORDER
        self._kept: Requests = []
        """What the next session begins with; if nothing, the first request."""

    def begin(self, requests: "Requests") -> "Requests":
        """The requests of a new session, in order. `requests` is what anybody may be asked for, in the public order."""
        if requests != self.requests or (self.mode and ticks.age(self._began) >= _REMEMBERED_MS):
            self.forget()
            self.requests = requests
        first = [doc_type for types in self._kept for doc_type in types]
        return self._kept + [types for types in requests if not any(doc_type in first for doc_type in types)]

    def end(self, reading: "Reading") -> None:
        """A session that was begun is over, and has not opened the door."""
        if not reading.asked:
            return
        # A request that was not answered may have come too late, to a session that the phone had closed after its last
        # answer: it is still to be asked. But the first of a session was read and left, or the run would never end.
        done = max(1, reading.answered)
        left: Requests = []
        mode = self.mode
        if mode == _ONE_BY_ONE:
            left = self._kept[done:]
        elif reading.lost and mode == _THE_REST:
            left, mode = [[doc_type] for doc_type in self._kept[0]], _ONE_BY_ONE
            if len(left) == 1:
                left = []  # that has just been asked
        elif reading.lost:
            rest, mode = self.requests[done:], _THE_REST
            if rest and not reading.answered and reading.lost in _TAKEN_AWAY:
                rest = rest + self.requests[:1]  # the phone was not even given the time to answer
            if rest:
                left = [[doc_type for types in rest for doc_type in types]]
        self.forget()
        if left:
            self._kept, self.mode, self._began = left, mode, ticks.now()
