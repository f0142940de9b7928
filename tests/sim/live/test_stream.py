"""Messages reach every browser in order, and a browser that does not keep up is dropped and delays nobody."""

import pytest

from sim.live.refusal import RequestRefusedError
from sim.live.stream import CLIENTS, KEPT, QUEUE, Client, Stream, Told


class Site:
    """A site whose state is one number. `attended` lists what the stream has said: whether anybody watches."""

    def __init__(self) -> None:
        self.number = 0
        self.attended: list[bool] = []
        self.stream = Stream(self.state, self.attended.append)

    def state(self) -> list[Told]:
        return [("state", {"number": self.number})]

    def go_on(self, times: int = 1) -> None:
        for _ in range(times):
            self.number += 1
            self.stream.publish("step", {"number": self.number})


def queued(client: Client) -> list[bytes]:
    return [client.queue.get_nowait() for _ in range(client.queue.qsize())]


def last_of(message: bytes) -> str:
    return message.decode().split("id: ")[-1].split("\n")[0]


def test_a_message_has_a_number_a_kind_and_json_on_one_line() -> None:
    site = Site()
    client = site.stream.join(None)
    site.stream.publish("tap", {"text": "两行\n第二行"})
    [message] = queued(client)
    number, event, data, *rest = message.decode().split("\n")
    assert number.startswith("id: ") and (event, data) == ("event: tap", 'data: {"text":"两行\\n第二行"}')
    assert rest == ["", ""]


def test_nobody_is_told_before_the_first_browser_and_after_the_last() -> None:
    site = Site()
    site.go_on()
    first, second = site.stream.join(None), site.stream.join(None)
    assert b'"number":1' in first.first and b"state" in second.first
    site.stream.leave(first)
    site.stream.leave(first)
    assert site.attended == [True]
    site.stream.leave(second)
    assert site.attended == [True, False]


def test_a_browser_that_comes_back_gets_what_it_missed_and_no_more() -> None:
    site = Site()
    stays, client = site.stream.join(None), site.stream.join(None)
    site.go_on(3)
    got = queued(client)[1]
    site.stream.leave(client)
    site.go_on(2)
    back = site.stream.join(last_of(got))
    assert back.first.count(b"event: step") == 3 and b"state" not in back.first
    up_to_date = site.stream.join(last_of(queued(stays)[-1]))
    assert up_to_date.first == b""


@pytest.mark.parametrize("last", ["0", "-1", "x", "", "١", "9" * 30, "9" * 5000])
def test_a_number_that_is_not_ours_gets_the_state(last: str) -> None:
    site = Site()
    site.stream.join(None)
    site.go_on()
    assert b"event: state" in site.stream.join(last).first


def test_who_was_away_too_long_gets_the_state() -> None:
    site = Site()
    site.stream.join(None)
    first = site.stream.join(None)
    site.go_on()
    [old] = queued(first)
    site.stream.leave(first)
    fresh = site.stream.join(None)
    for _ in range(KEPT + 1):
        site.go_on()
        queued(fresh)
    assert b"event: state" in site.stream.join(last_of(old)).first


def test_after_nobody_watched_everybody_gets_the_state() -> None:
    site = Site()
    client = site.stream.join(None)
    site.go_on()
    [got] = queued(client)
    site.stream.leave(client)
    site.go_on()  # nobody is there, so this is not kept
    assert b'"number":2' in site.stream.join(last_of(got)).first


def test_a_slow_browser_is_dropped_and_the_others_get_everything() -> None:
    site = Site()
    slow, quick = site.stream.join(None), site.stream.join(None)
    got = []
    for _ in range(QUEUE + 1):
        site.go_on()
        got += queued(quick)
    assert slow.dropped.is_set() and not quick.dropped.is_set()
    assert len(got) == QUEUE + 1 and slow.queue.qsize() == QUEUE
    site.go_on()
    assert slow.queue.qsize() == QUEUE  # it costs no more memory


def test_only_so_many_browsers_may_watch() -> None:
    site = Site()
    clients = [site.stream.join(None) for _ in range(CLIENTS)]
    with pytest.raises(RequestRefusedError, match=r"live\.full"):
        site.stream.join(None)
    site.stream.leave(clients[0])
    assert site.stream.join(None).first
