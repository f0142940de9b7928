"""/metrics, /healthz and /readyz answer this machine alone, count nothing by lock, and survive any request."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest

from edge_agent import metrics
from edge_agent.inventory import Counts
from edge_agent.metrics import LockNumbers, Numbers
from edge_agent.monitor import AT_ONCE, HOST, REQUEST_BYTES, Monitor
from protocol.errors import ConfigError

LOCKS = [
    LockNumbers("0a0b0c0d0e0f", "0.3.0", -61),
    LockNumbers("1a0b0c0d0e0f", "0.3.0"),
    LockNumbers("2a0b0c0d0e0f", 'a"}\n# x', -90),
]


def numbers(**changed: object) -> Numbers:
    held = Counts(
        records=5,
        bytes=2000,
        oldest_seconds=12.5,
        disputed=0,
        quarantined=1,
        statements=4,
        locks=3,
        damaged=1,
        rebuilt=0,
        absent=2,
    )
    facts: dict[str, object] = {
        "broker": True, "locks": LOCKS, "own": 3, "silent": 1, "strangers": 0,
        "under_way": 2, "contents": held, "intake_refused": False, "disk_free": 10**9, "last_receipt": 1.8e9,
        "clock_offset": -0.5, "certificate_end": None, "pass_issued": 1.7e9, "pass_end": 1.9e9,
        "faults": {"KeyError": 2},
    }  # fmt: skip
    return Numbers(**{**facts, **changed})  # type: ignore[arg-type]


def test_every_line_is_in_the_format_of_prometheus_whatever_a_lock_calls_its_version() -> None:
    text = metrics.text(numbers())
    label = r'[a-z]+="[A-Za-z0-9.+_-]*"'
    sample = rf"mooring_edge_[a-z_]+(\{{{label}(,{label})*\}})? -?[0-9.e+]+"
    for line in text.splitlines():
        assert re.fullmatch(
            rf"# HELP mooring_edge_[a-z_]+ .+|# TYPE mooring_edge_[a-z_]+ (gauge|counter)|{sample}", line
        )
    assert 'mooring_edge_locks_software{version="0.3.0"} 2\n' in text
    assert 'mooring_edge_lock_info{lock="0a0b0c0d0e0f",version="0.3.0"} 1\n' in text
    assert text.count("mooring_edge_lock_signal_dbm{") == 2, "a lock that no scan has heard has no signal"
    assert 'mooring_edge_lock_signal_dbm{lock="2a0b0c0d0e0f"} -90\n' in text
    assert "mooring_edge_queue_oldest_seconds 12.5\n" in text and "mooring_edge_clock_offset_seconds -0.5\n" in text
    names = re.findall(r"# TYPE (\S+)", text)
    assert len(names) == len(set(names)) > 20


def test_what_is_not_known_is_left_out() -> None:
    text = metrics.text(numbers(contents=None, last_receipt=None))
    assert "queue_records" not in text and "last_receipt" not in text and "certificate_end" not in text
    assert "certificate_end" in metrics.text(numbers(certificate_end=1.9e9))
    assert "disk_written" not in text
    assert "mooring_edge_disk_written_bytes_total 4096\n" in metrics.text(numbers(disk_written=4096))
    assert "visit_limit" not in text and "mooring_edge_visit_oldest_seconds 0.0\n" in text
    assert "mooring_edge_visit_limit_seconds 2040.0\n" in metrics.text(numbers(visit_limit=2040.0))


def monitor(unhealthy: list[str], unready: list[str]) -> Monitor:
    async def text() -> str:
        return metrics.text(numbers())

    return Monitor(text, lambda: unhealthy, lambda: unready)


def serve(story: Callable[[int], Awaitable[None]], unhealthy: list[str], unready: list[str]) -> None:
    async def play() -> None:
        listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(monitor(unhealthy, unready).run(0, listening.set_result))
        try:
            async with asyncio.timeout(30):
                await story(await listening)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())


async def send(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    writer.write_eof()
    try:
        return await reader.read()
    except ConnectionError:
        return b""  # the server has closed before it has read everything
    finally:
        writer.close()


async def ask(port: int, path: str, host: str | None = "127.0.0.1:9464", method: str = "GET") -> tuple[int, str]:
    named = "" if host is None else f"Host: {host}\r\n"
    answer = (await send(port, f"{method} {path} HTTP/1.1\r\n{named}\r\n".encode())).decode()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


def test_the_three_pages_answer_and_a_reason_is_a_line() -> None:
    async def story(port: int) -> None:
        assert await ask(port, "/metrics") == (200, metrics.text(numbers()))
        assert await ask(port, "/healthz") == (200, "ok\n")
        assert await ask(port, "/readyz?verbose=1") == (503, "no broker\nno pass\n")
        assert await ask(port, "/metrics", method="HEAD") == (200, "")

    serve(story, unhealthy=[], unready=["no broker", "no pass"])


def test_an_agent_that_is_not_healthy_is_not_ready_either() -> None:
    async def story(port: int) -> None:
        assert await ask(port, "/healthz") == (503, "stuck\n")
        assert await ask(port, "/readyz") == (503, "stuck\n")

    serve(story, unhealthy=["stuck"], unready=[])


def test_only_requests_that_name_this_machine_are_answered() -> None:
    async def story(port: int) -> None:
        for host in ("localhost", "localhost:9464", "127.0.0.1", "LOCALHOST:1"):
            assert (await ask(port, "/healthz", host))[0] == 200
        for other in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "", None):
            assert (await ask(port, "/healthz", other))[0] == 403
        twice = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
        assert (await send(port, twice)).startswith(b"HTTP/1.1 403 ")
        assert (await ask(port, "/healthz", method="POST"))[0] == 405
        assert (await ask(port, "/secret"))[0] == 404

    serve(story, unhealthy=[], unready=[])


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"GET",
        b"x" * (REQUEST_BYTES * 4),
        b"GET /metrics HTTP/1.1\r\nHost\r\n\r\n",
    ],
)
def test_no_request_stops_the_server(request_bytes: bytes) -> None:
    async def story(port: int) -> None:
        await send(port, request_bytes)
        assert await ask(port, "/healthz") == (200, "ok\n")

    serve(story, unhealthy=[], unready=[])


def test_connections_that_say_nothing_leave_when_there_are_too_many() -> None:
    async def story(port: int) -> None:
        silent = [await asyncio.open_connection(HOST, port) for _ in range(AT_ONCE)]
        assert await send(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b"", "one too many"
        for _, writer in silent:
            writer.write_eof()
        await asyncio.gather(*(reader.read() for reader, _ in silent))
        for _, writer in silent:
            writer.close()
        assert await ask(port, "/healthz") == (200, "ok\n")

    serve(story, unhealthy=[], unready=[])


def test_a_port_that_is_taken_is_told_with_its_remedy() -> None:
    async def story(port: int) -> None:
        with pytest.raises(ConfigError) as refused:
            await monitor([], []).run(port)
        assert refused.value.code == "config.port" and "Choose another monitor.port" in refused.value.message

    serve(story, unhealthy=[], unready=[])
