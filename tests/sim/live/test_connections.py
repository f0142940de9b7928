"""If a connection says nothing, or something other than HTTP, it takes nothing away from the live page's visitors."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from sim.live.command import bound
from sim.live.connections import CONNECTIONS, REQUEST_SECONDS, Server
from sim.live.guard import HEADERS
from tests.support import stepped_time
from tests.support.stepped_time import time_passes

WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[bytes], Awaitable[Client]]


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer each request after its body has arrived. A request of `/long` gets an answer that never ends."""
    while (await receive())["more_body"]:
        pass
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await receive()
    else:
        await PlainTextResponse("hello")(scope, receive, send)


@asynccontextmanager
async def server() -> AsyncIterator[Connect]:
    """Serve `hello`. Yields a function that connects and sends bytes."""
    clients: list[Client] = []
    with bound(0) as listening:

        async def connect(data: bytes) -> Client:
            clients.append(await asyncio.open_connection(*listening.getsockname()))
            clients[-1][1].write(data)
            return clients[-1]

        serving = Server(hello)
        running = asyncio.create_task(serving.serve([listening]))
        yield connect
        for _, writer in clients:
            writer.close()
        serving.should_exit = True
        await time_passes(running.done)


async def answer(client: Client) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the next answer."""
    said = (await client[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in said[1:-2])}
    if "content-length" not in headers:
        return int(said[0].split()[1]), headers, b""
    return int(said[0].split()[1]), headers, await client[0].readexactly(int(headers["content-length"]))


def test_silent_connections_keep_nobody_out() -> None:
    async def story() -> None:
        async with server() as connect:
            silent = [await connect(b"") for _ in range(CONNECTIONS + 6)]
            assert (await answer(await connect(WHOLE)))[0] == 200
            # The server has closed the oldest connections. With the visitor, there were seven connections too many.
            await time_passes(lambda: sum(reader.at_eof() for reader, _ in silent) == 7)
            assert [reader.at_eof() for reader, _ in silent] == [True] * 7 + [False] * (CONNECTIONS - 1)

    stepped_time.run(story)


def test_half_sent_requests_that_come_all_at_once_keep_nobody_out_whose_request_has_arrived() -> None:
    async def story() -> None:
        async with server() as connect, AsyncExitStack() as sockets:
            address = (await connect(b""))[1].get_extra_info("peername")

            def sent(data: bytes) -> socket.socket:
                """Connect and send, while the server gets no turn."""
                made = sockets.enter_context(socket.create_connection(address))
                made.sendall(data)
                return made

            visitor = sent(WHOLE)
            for _ in range(CONNECTIONS + 10):
                sent(WHOLE[:9])
            visitor.setblocking(False)
            assert (await asyncio.get_running_loop().sock_recv(visitor, 15)) == b"HTTP/1.1 200 OK"

    stepped_time.run(story)


def test_a_page_that_gets_an_answer_is_never_closed_for_a_silent_connection() -> None:
    async def story() -> None:
        async with server() as connect:
            page = await connect(WHOLE.replace(b"/ ", b"/long "))
            assert (await answer(page))[0] == 200
            silent = [await connect(b"") for _ in range(2 * CONNECTIONS)]
            await time_passes(lambda: silent[CONNECTIONS][0].at_eof())
            assert not page[0].at_eof()

    stepped_time.run(story)


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", WHOLE[:-2], b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc", WHOLE + b"GET /"],
    ids=["nothing", "half a line", "half the headers", "half a body", "half a second request"],
)
def test_a_request_that_does_not_arrive_in_time_is_closed(begun: bytes) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with server() as connect:
            late = await connect(begun)
            if begun.startswith(WHOLE):
                assert (await answer(late))[0] == 200
            beginning = loop.time()
            await time_passes(late[0].at_eof)
            assert loop.time() - beginning <= REQUEST_SECONDS + 1

    stepped_time.run(story)


def test_single_bytes_of_a_request_do_not_gain_time() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with server() as connect:
            slow = await connect(b"GET /?")
            beginning = loop.time()

            def dripped() -> bool:
                slow[1].write(b"x")
                return slow[0].at_eof() or slow[0].exception() is not None

            await time_passes(dripped)
            assert loop.time() - beginning <= REQUEST_SECONDS + 1

    stepped_time.run(story)


def test_a_request_that_arrives_in_parts_is_answered() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with server() as connect:
            slow = await connect(WHOLE[:9])
            beginning = loop.time()
            await time_passes(lambda: loop.time() - beginning > REQUEST_SECONDS / 2)
            slow[1].write(WHOLE[9:])
            assert (await answer(slow))[::2] == (200, b"hello")

    stepped_time.run(story)


def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with server() as connect:
            page = await connect(WHOLE.replace(b"/ ", b"/long "))
            assert (await answer(page))[0] == 200
            beginning = loop.time()
            await time_passes(lambda: loop.time() - beginning > REQUEST_SECONDS + 2)
            assert not page[0].at_eof()

    stepped_time.run(story)


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n"]
)
def test_what_is_not_http_gets_a_code_and_the_headers_of_every_answer(said: bytes) -> None:
    async def story() -> None:
        async with server() as connect:
            client = await connect(said)
            status, headers, body = await answer(client)
            assert (status, json.loads(body)["code"]) == (400, "live.http")
            assert {name: headers.get(name.lower()) for name in HEADERS} == dict(HEADERS)
            assert await client[0].read() == b""

    stepped_time.run(story)


def test_a_body_that_turns_out_not_to_be_http_breaks_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        async with server() as connect:
            chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            client = await connect(chunked + b"no chunk\r\n")
            assert (await answer(client))[0] == 400
            assert (await answer(await connect(WHOLE)))[0] == 200

    stepped_time.run(story)
    assert capfd.readouterr().err == ""
