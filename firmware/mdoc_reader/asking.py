"""The order in which phones are asked for documents. This order may change from one tap to the next.

Many wallets hold only one kind of document. Some wallets end the session when they are asked for another kind. Some
wallet libraries raise an error if one of several requested kinds is missing, and then the phone never answers. So a
session sends the requests of the profile one after the other. If the phone breaks off the session, the next tap asks
differently.

    mode         a session asks for                            next mode, if it did not open the door
    IN_ORDER     the requests of the profile, in order         broken off with requests left: THE_REST
                                                               the only request has several types, and the
                                                                 phone broke off without an answer: ONE_BY_ONE
    THE_REST     the rest in one request,                      broken off, and the rest has several types:
                 then the other requests                         ONE_BY_ONE
    ONE_BY_ONE   each type of the rest in its own request,     types of the rest not asked for yet: ONE_BY_ONE,
                 then the other requests                         beginning with the next of them

"The rest" means the document types for which the broken-off session got no answer. In all cases that are not in the
table, the next mode is IN_ORDER. The mode also becomes IN_ORDER after an opening, after a minute without a session, and
when the requests have changed.

There is one mode for all phones together, because nothing here tells one phone from another. The requests depend on the
profile, on the trust list and on how the last sessions ended. The requests never depend on the guests who are expected.
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
    """Chooses the requests of the next session. A request is a list of document types.

    The state is only a few small numbers, because an object that is made during a visit and kept afterwards would
    fragment the heap.
    """

    def __init__(self) -> None:
        self.count = 0  # number of types that a phone may be asked for
        self._began = 0
        self.forget()

    def forget(self) -> None:
        """Set the mode back to IN_ORDER. This is right after an opening, and after a minute without a session."""
        self.mode = _IN_ORDER
        self.start = 0  # Index of the first request of the rest.
        self.again = False  # True if the first of all requests belongs to the rest too.
        self.left = 0  # Number of types in "the rest" that have already had a request of their own.

    def begin(self, requests: "Requests") -> "Requests":
        """Return the requests of a new session, in order. `requests` are all requests that a phone may get, in the
        order of the profile."""
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
        """Choose the next mode after a session that did not open the door. `requests` is the same list as for
        `begin`."""
        if not reading.asked:
            return
        # A request without an answer is sent again, because the phone may have closed the session before the request
        # came. But the first request of a session counts as done even without an answer. Otherwise this request would
        # be sent again for ever.
        done = max(1, reading.answered)
        size = len(self._rest(requests))
        together = len(requests[0]) > 1  # these types have not had a request of their own yet
        if self.mode == _ONE_BY_ONE and self.left + done < size:
            self.left += done
        elif self.mode == _THE_REST and reading.lost and (size > 1 or together):
            self.mode, self.again = _ONE_BY_ONE, self.again or together
        elif self.mode == _IN_ORDER and reading.lost and done < len(requests):
            self.mode, self.start = _THE_REST, done
            # The phone was taken away before it could answer, so the first request is sent again.
            self.again = not reading.answered and reading.lost in _TAKEN_AWAY
        elif self.mode == _IN_ORDER and reading.lost and together and not reading.answered:
            # The session had only one request, which asked for several types.
            self.mode, self.start, self.again = _ONE_BY_ONE, 1, True
        else:
            self.forget()
        self._began = ticks.now()
