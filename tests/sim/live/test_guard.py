"""The live page's server answers only its own page: host, origin, token, sizes and numbers are checked."""

import contextlib
import json
import socket

import pytest

from sim.live.guard import HEADERS
from sim.live.server import MOST_BYTES
from sim.live.stream import CLIENTS, QUEUE
from tests.support.live_http import LivePage

STRANGER = {"action": "stranger", "door": "door-1"}
NEVER = {"action": "never"}
"""An action that does not exist. A request that gets as far as this action has passed every other check."""


SITE = {"runtime": "cpython", "doors": 1}


def test_it_listens_on_loopback_only(page: LivePage) -> None:
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", page.port)):
        pass
    with socket.create_connection(("127.0.0.1", page.port)) as reached:
        assert reached.getpeername() == ("127.0.0.1", page.port)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_each_name_of_this_machine_is_served(page: LivePage, host: str) -> None:
    assert page.ask("GET", "/", None, Host=f"{host}:{page.port}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/events", "/record/door-1/1", "/nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.:{port}", ""]
)
def test_a_request_that_names_another_host_is_refused(page: LivePage, path: str, host: str) -> None:
    """DNS rebinding: the owner of another page lets the name of the page's host lead to this machine. Then the browser
    sends that name.
    """
    status, _, body = page.ask("GET", path, None, Host=host.format(port=page.port), Mooring_Token=page.token)
    assert (status, json.loads(body)["code"]) == (403, "live.host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1", ""])
def test_an_act_from_another_page_is_refused(page: LivePage, origin: str) -> None:
    status, told = page.post(STRANGER, Origin=origin.format(port=page.port))
    assert (status, told["code"]) == (403, "live.origin")


def test_even_a_look_from_another_page_is_refused(page: LivePage) -> None:
    status, _, body = page.ask("GET", "/events", None, Origin="http://evil.example")
    assert (status, json.loads(body)["code"]) == (403, "live.origin")


@pytest.mark.parametrize("path", ["/events", "/page/index.html", "/record/door-1/1", "/nothing"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything", ""])
def test_another_page_can_lead_a_browser_to_nothing_but_the_page(page: LivePage, path: str, site: str) -> None:
    """A navigation and a download have no origin. A download of the events would take a page's place for ever."""
    status, _, body = page.ask("GET", path, None, Sec_Fetch_Site=site, Mooring_Token=page.token)
    assert (status, json.loads(body)["code"]) == (403, "live.origin")
    assert page.ask("GET", "/", None, Sec_Fetch_Site=site)[0] == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_the_page_itself_or_a_person_asks_for_is_served(page: LivePage, site: str) -> None:
    assert page.ask("GET", "/page/main.js", None, Sec_Fetch_Site=site)[0] == 200


@pytest.mark.parametrize("shown", ["", "x", "{token}x", "{half}", "ключ"])
def test_without_the_token_nobody_acts_or_reads_a_record(page: LivePage, shown: str) -> None:
    token = shown.format(token=page.token, half=page.token[:16]).encode().decode("latin-1")
    assert (page.post(STRANGER, Mooring_Token=token)[0], page.post(STRANGER, Mooring_Token=token)[1]["code"]) == (
        403,
        "live.token",
    )
    status, told = page.record("door-1", 1, Mooring_Token=token)
    assert (status, told["code"]) == (403, "live.token")
    status, _, body = page.ask("GET", "/token", None, Mooring_Token=token)
    assert (status, json.loads(body)["code"]) == (403, "live.token")
    assert page.ask("GET", "/token", None, Mooring_Token=page.token)[0] == 200


def test_the_token_is_long_and_not_in_what_anybody_may_read(page: LivePage) -> None:
    assert len(page.token) >= 32
    listener = page.listen()
    listener.until("stores")
    listener.close()
    assert page.token not in json.dumps([said.data for said in listener.heard])
    assert page.token.encode() not in page.ask("GET", "/", None)[2]


def test_no_data_of_a_guest_beyond_the_name_is_in_the_stream(page: LivePage) -> None:
    listener = page.listen()
    page.act(listener, "tap", door="door-1", person="guest-1")
    listener.until("tap", lambda data: data["over"], since=0)  # the receipt may be quick
    listener.close()
    told = json.dumps([said.data for said in listener.heard], ensure_ascii=False)
    people = [guest.visitor.person for guest in page.stage.guests]
    assert all(person.name in told for person in people)
    secrets = [word for person in people for word in (person.document_number, person.birth_date)]
    assert [word for word in [*secrets, *(guest.pin for guest in page.stage.guests if guest.pin)] if word in told] == []


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 10 * MOST_BYTES])
def test_a_large_body_is_refused(page: LivePage, size: int) -> None:
    status, told = page.post(b" " * size)
    assert (status, told["code"]) == (413, "live.size")


def test_a_body_that_just_fits_is_read(page: LivePage) -> None:
    body = json.dumps(NEVER).encode()
    assert page.post(body + b" " * (MOST_BYTES - len(body)))[1]["code"] == "live.action"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'"tap"', b"\xff\xfe", b"[" * 1500, b'{"action": NaN'])
def test_a_body_that_is_no_object_is_refused(page: LivePage, body: bytes) -> None:
    status, told = page.post(body)
    assert (status, told["code"]) == (400, "live.request")


def test_a_form_of_another_page_is_refused(page: LivePage) -> None:
    """A form can send text/plain without asking first (CORS)."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        status, told = page.post(NEVER, Content_Type=kind)
        assert (status, told["code"]) == (400, "live.request")
    assert page.post(NEVER, Content_Type="application/json; charset=utf-8")[1]["code"] == "live.action"


def test_a_number_that_python_does_not_read_is_no_defect(page: LivePage) -> None:
    """Python refuses to read numbers of more than 4300 digits."""
    status, told = page.record("door-1", "9" * 5000)
    assert (status, told["code"]) == (404, "live.missing")
    status, told = page.record("door-1", "9" * 5000, Mooring_Token="x")
    assert (status, told["code"]) == (403, "live.token")


@pytest.mark.parametrize(
    "path",
    ["/page/../server.py", "/page/%2e%2e%2fserver.py", "/page/", "/page/none.js", "/act/x", "/record/door-1/x", "/x"],
)
def test_nothing_is_served_but_the_page_and_its_files(page: LivePage, path: str) -> None:
    status, _, body = page.ask("GET", path, None, Mooring_Token=page.token)
    assert (status, json.loads(body)["code"]) == (404, "live.missing")


@pytest.mark.parametrize(("method", "path"), [("GET", "/act"), ("POST", "/"), ("PUT", "/act"), ("DELETE", "/events")])
def test_no_other_method_is_served(page: LivePage, method: str, path: str) -> None:
    assert page.ask(method, path, None, Origin=page.origin)[0] == 405


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/page/main.js", 200), ("/nothing", 404), ("/record/x/1", 403)]
)
def test_every_answer_has_the_headers_that_keep_a_page_to_itself(page: LivePage, path: str, status: int) -> None:
    answered, headers, _ = page.ask("GET", path, None)
    assert answered == status
    assert {name: headers.get(name.lower()) for name in HEADERS} == dict(HEADERS)
    assert "default-src 'self'" in headers["content-security-policy"] and "server" not in headers


def test_an_answer_that_no_route_gives_has_these_headers_too(page: LivePage) -> None:
    with socket.create_connection(("127.0.0.1", page.port)) as wrong, wrong.makefile("rb") as answer:
        wrong.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        head, _, body = answer.read().decode().partition("\r\n\r\n")
    assert json.loads(body)["code"] == "live.http"
    said = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.splitlines())}
    assert {name: said.get(name.lower()) for name in HEADERS} == dict(HEADERS)


def test_silent_connections_keep_nobody_out(page: LivePage) -> None:
    with contextlib.ExitStack() as silent:
        for _ in range(70):
            silent.enter_context(socket.create_connection(("127.0.0.1", page.port)))
        assert page.ask("GET", "/", None)[0] == 200


def unattended(page: LivePage) -> None:
    """Wait until the server has noticed that all pages are closed, also those of earlier tests."""
    page.run(page.stage.site.until("the pages are gone", lambda: not page.stage.stream.attended))


def test_a_head_of_the_events_takes_no_place(page: LivePage) -> None:
    with contextlib.ExitStack() as asking:
        for _ in range(CLIENTS):
            connection = asking.enter_context(socket.create_connection(("127.0.0.1", page.port)))
            connection.sendall(f"HEAD /events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
        unattended(page)
        listener = page.listen()
        assert listener.answer.status == 200
        listener.close()


def test_only_so_many_pages_are_served_and_one_that_closes_makes_room(page: LivePage) -> None:
    unattended(page)
    listeners = [page.listen() for _ in range(CLIENTS)]
    for listener in listeners:
        assert listener.next().kind == "site"
    status, headers, body = page.ask("GET", "/events", None)
    assert (status, json.loads(body)["code"]) == (503, "live.full")
    assert {name: headers.get(name.lower()) for name in HEADERS} == dict(HEADERS)
    for listener in listeners:
        listener.close()
    unattended(page)
    again = page.listen()
    assert again.answer.status == 200 and again.next().kind == "site"
    again.close()


def test_a_page_that_comes_back_gets_what_it_missed_and_a_stranger_gets_everything(page: LivePage) -> None:
    first, other = page.listen(), page.listen()
    page.act(first, "stranger", door="door-1")
    got = first.heard[-1].number
    first.close()
    page.act(other, "open-door", door="door-1", on=False)
    back = page.listen(got)
    assert back.next().number == got + 1 and back.heard[0].kind != "site"
    for last in (1, got + 10**9):
        anew = page.listen(last)
        assert anew.next().kind == "site"
        anew.close()
    back.close()
    other.close()


def test_a_page_that_does_not_read_is_disconnected_and_delays_nobody(page: LivePage) -> None:
    quick = page.listen()
    quick.until("stores")
    with socket.create_connection(("127.0.0.1", page.port)) as slow:
        slow.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        assert slow.recv(12) == b"HTTP/1.1 200"
        much, few = 4 * QUEUE, QUEUE // 4

        async def publish(numbers: range) -> None:
            for number in numbers:
                page.stage.stream.publish("network", {"up": True, "number": number, "filler": "x" * 20_000})

        for first in range(0, much, few):  # a page that keeps up has few messages before it
            page.run(publish(range(first, first + few)))
            assert [quick.until("network")["number"] for _ in range(few)] == list(range(first, first + few))
        rest = 0
        while piece := slow.recv(1 << 16):  # the server has closed this connection
            rest += len(piece)
        assert rest < much * 20_000
    quick.close()
