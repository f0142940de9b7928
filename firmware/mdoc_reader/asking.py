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

from firmware.hardware import ticks
from protocol import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware.mdoc_reader.reader import Reading

    Requests = list[list[str]]

_REMEMBERED_MS = const(60000)
_IN_ORDER = const(0)
_THE_REST = const(1)
_ONE_BY_ONE = const(2)
_TAKEN_AWAY = const(("nfc.gone", "ble.lost"))


class Asking:
    """What the next session asks for. A request is a list of document types.

    It keeps small numbers alone: what is made in the midst of a visit and outlives it would break the heap into pieces.
    """

    def __init__(self) -> None:
        self.count = 0  # types that anybody may be asked for
        self._began = 0
        self.forget()

    def forget(self) -> None:
        """From the start: the door has opened, or everything has been asked for, or nobody has come for so long."""
        self.mode = _IN_ORDER
        self.start = 0  # the request that the rest begins with
        self.again = False  # does the first request of all belong to the rest as well?
        self.left = 0  # how many types of the rest have been asked for one by one

    def begin(self, requests: "Requests") -> "Requests":
        """The requests of a new session, in order. `requests` is what anybody may be asked for, in the public order."""
        count = sum([len(types) for types in requests])
        if count != self.count or not self._rest(requests) or (self.mode and ticks.age(self._began) >= _REMEMBERED_MS):
            self.forget()
            self.count = count
        if self.mode == _IN_ORDER:
            return requests
        rest = self._rest(requests)[self.left :]
        plan = [rest] if self.mode == _THE_REST else [[doc_type] for doc_type in rest]
        return plan + [types for types in requests if not any(doc_type in rest for doc_type in types)]

    def _rest(self, requests: "Requests") -> "list[str]":
        rest = requests[self.start :] + (requests[:1] if self.again else [])
        return [doc_type for types in rest for doc_type in types]

    def end(self, reading: "Reading", requests: "Requests") -> None:
        """A session that was begun with `requests` is over, and has not opened the door."""
        if not reading.asked:
            return
        # A request that was not answered may have come too late, to a session that the phone had closed after its last
        # answer: it is still to be asked. But the first of a session was read and left, or the run would never end.
        done = max(1, reading.answered)
        size = len(self._rest(requests))
        together = len(requests[0]) > 1  # so its types were not asked for one by one yet
        if self.mode == _ONE_BY_ONE and self.left + done < size:
            self.left += done
        elif self.mode == _THE_REST and reading.lost and (size > 1 or together):
            self.mode, self.again = _ONE_BY_ONE, self.again or together
        elif self.mode == _IN_ORDER and reading.lost and done < len(requests):
            self.mode, self.start = _THE_REST, done
            # The phone was not even given the time to answer.
            self.again = not reading.answered and reading.lost in _TAKEN_AWAY
        elif self.mode == _IN_ORDER and reading.lost and together and not reading.answered:
            # All there is was asked for in one request.
            self.mode, self.start, self.again = _ONE_BY_ONE, 1, True
        else:
            self.forget()
        self._began = ticks.now()
