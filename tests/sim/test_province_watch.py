"""The province notices when signs of life do not come. It says which lock, which edge, since when, and when they came
again."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from protocol import crypto_cpython as crypto
from protocol import placement, record, uplink
from protocol.record import LIFE
from protocol.registration import LIFE_SECONDS
from sim.platform import Platform
from sim.province import Province, view, watch
from sim.province.__main__ import main
from tests.support.chain import Chain, entry, event
from tests.support.edge_side import EDGE, codes, deliver, receipts, seen

FIRST = 80_000
"""Number of the first period."""
PLATFORM = Platform()


class World:
    """A province with two locks at one edge, in virtual time. `period` moves the time to the end of a period."""

    def __init__(self, folder: Path) -> None:
        self.now = FIRST * LIFE_SECONDS
        self.folder = folder
        self.province = Province(folder, "127.0.0.1", 1, clock=lambda: self.now)
        self.province.declare_listing("HZ-0001", doors=2)
        self.watch = watch.Watch(self.province.store)
        self.quiet, self.other = self._lock("1201"), self._lock("1202")

    def _lock(self, room: str) -> Chain:
        chain = Chain(self.province.keys.sealing_public)
        self.place(chain, room)
        return chain

    def place(self, chain: Chain, room: str, status: str = placement.ACTIVE) -> None:
        """Place the lock of this chain, or place it again."""
        self.province.register_lock(
            chain.public, listing="HZ-0001", room=room, platform_key=PLATFORM.public, reader_chain=[b"\x30\x00"],
            status=status,
        )  # fmt: skip

    def sign(self, chain: Chain, **changes: int) -> bytes:
        """Append a sign of life of now to the lock's chain. `changes` may change its times and its count."""
        body: dict[Any, Any] = event(LIFE, "alive", changes.get("count", 1))
        body[record.EARLIEST], body[record.LATEST] = changes.get("first", self.now), changes.get("last", self.now + 1)
        return chain.append(body)

    def pass_periods(self, number: int, *alive: Chain) -> None:
        """Let periods pass. In each of them, the locks `alive` make signs of life, which the edge delivers."""
        for _ in range(number):
            self.now += LIFE_SECONDS
            if alive:
                deliver(self.province, *(self.sign(chain) for chain in alive))

    def life(self, chain: Chain) -> watch.Life:
        """Return what the province knows about the signs of life of this lock."""
        return watch.lives(self.province.store, self.now)[chain.lock_id]

    def silence(self, chain: Chain) -> watch.Silence:
        """Return the silence of this lock that goes on now."""
        silence = self.life(chain).silent
        assert silence is not None
        return silence


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.province.stop()


def test_a_lock_is_silent_after_two_missed_signs_of_life_and_not_after_one(world: World) -> None:
    world.pass_periods(3, world.quiet, world.other)
    last = world.now
    world.pass_periods(2, world.other)
    assert world.life(world.quiet).silent is None, "one is missing; the second may come until its period is over"
    assert world.watch.look(world.now) == []
    world.pass_periods(1, world.other)
    silence = world.silence(world.quiet)
    assert (silence.since, silence.missed, silence.edge, silence.healed_at) == (last, 2, "edge-1", None)
    [line] = world.watch.look(world.now)
    assert world.quiet.lock_id.hex()[:8] in line and "edge edge-1" in line and "since 2024-" in line
    assert world.watch.look(world.now) == [], "it is said once"
    assert world.life(world.other).silent is None


def test_it_says_when_the_silence_healed_and_what_is_missing_for_ever(world: World) -> None:
    world.pass_periods(2, world.quiet)
    last = world.now
    world.pass_periods(5)
    world.watch.look(world.now)
    world.pass_periods(2, world.quiet)
    healed = world.now - LIFE_SECONDS
    life = world.life(world.quiet)
    assert life.silent is None and life.missing == 5
    [silence] = life.silences
    assert (silence.since, silence.missed, silence.healed_at, silence.edge) == (last, 5, healed, "edge-1")
    assert "is heard again" in world.watch.look(world.now)[0]


def test_signs_of_life_that_were_withheld_and_come_late_heal_it_with_the_newest_and_nothing_is_missing(
    world: World,
) -> None:
    world.pass_periods(1, world.quiet)
    began, withheld = world.now, []
    for _ in range(6):
        world.now += LIFE_SECONDS
        withheld.append(world.sign(world.quiet))
    for late in withheld[:3]:
        deliver(world.province, late)
        assert world.life(world.quiet).silent is not None, "the newest that came is still too old"
    deliver(world.province, *withheld[3:])
    life = world.life(world.quiet)
    assert life.silent is None and life.missing == 0
    assert [(silence.since, silence.healed_at) for silence in life.silences] == [(began, world.now)]


def test_an_edge_that_brings_everything_days_late_is_silent_all_the_time(world: World) -> None:
    late: list[bytes] = []
    for _ in range(12):
        world.now += LIFE_SECONDS
        late.append(world.sign(world.quiet))
        if len(late) > 4:
            deliver(world.province, late.pop(0))
    assert world.silence(world.quiet).missed >= 3


def test_a_lock_that_never_gave_a_sign_of_life_is_silent_since_its_placement(world: World) -> None:
    began = world.now
    world.pass_periods(3)
    assert world.silence(world.quiet).since == began


def test_the_cause_is_told_apart_as_far_as_the_province_can_see(world: World) -> None:
    world.pass_periods(2, world.quiet, world.other)
    world.pass_periods(3, world.other)
    assert world.silence(world.quiet).cause == watch.LOCK, "others of this edge still come"
    world.pass_periods(3)
    assert {world.silence(chain).cause for chain in (world.quiet, world.other)} == {watch.EDGE}, "nothing comes"
    seen(world.province, world.quiet, {})
    assert world.silence(world.quiet).cause == watch.WITHHELD, "the edge says that it is connected to the lock"
    assert world.silence(world.other).cause == watch.EDGE
    assert len(world.watch.look(world.now)) == 2


def test_a_later_record_shows_that_the_lock_worked_and_an_older_one_does_not(world: World) -> None:
    world.pass_periods(2, world.quiet)
    old = world.quiet.append({**entry(), record.EARLIEST: world.now})
    world.pass_periods(4)
    deliver(world.province, old)
    assert world.silence(world.quiet).cause == watch.EDGE, "a backlog, which the edge had before"
    world.sign(world.quiet)  # the edge leaves this one out
    deliver(world.province, world.quiet.append({**entry(), record.EARLIEST: world.now}))
    assert world.silence(world.quiet).cause == watch.WITHHELD


def test_an_edge_does_not_answer_for_what_another_edge_says_about_the_lock(world: World) -> None:
    before = world.sign(world.quiet)
    deliver(world.province, before)
    world.pass_periods(3, world.other)
    rival = uplink.LockSeen(world.quiet.lock_id, world.quiet.public, {}).encode()
    world.province.registry.handle("rival", rival)
    silence = world.silence(world.quiet)
    assert (silence.edge, silence.cause) == ("rival", watch.WITHHELD)
    deliver(world.province, before)  # the edge sends it again, for example after a lost receipt
    silence = world.silence(world.quiet)
    assert (silence.edge, silence.cause) == (EDGE, watch.LOCK)


def test_leaving_out_one_record_stops_the_receipts_so_an_edge_cannot_leave_out_signs_of_life_alone(
    world: World,
) -> None:
    world.pass_periods(3, world.quiet)
    left_out = world.sign(world.quiet)
    for _ in range(3):
        answer = deliver(world.province, world.quiet.append(entry()))
        assert [receipt.through for receipt in receipts(world.province, answer)] == [3]
    answer = deliver(world.province, left_out)
    assert [receipt.through for receipt in receipts(world.province, answer)] == [7]


# --- what is no sign of life ----------------------------------------------------------------------------------------


def test_a_forged_sign_of_life_is_refused_and_heals_nothing(world: World) -> None:
    world.pass_periods(1, world.quiet)
    world.pass_periods(3)
    stranger, _ = crypto.generate("P-256")
    parsed = record.parse(world.sign(world.quiet))
    assert codes(world.province, deliver(world.province, record.sign(crypto, stranger, parsed.payload))) == [
        (parsed.counter, "cose.signature")
    ]
    assert world.silence(world.quiet).missed == 2


def test_a_sign_of_life_that_is_played_again_heals_nothing(world: World) -> None:
    world.pass_periods(2, world.quiet)
    world.pass_periods(3)
    deliver(world.province, *world.quiet.records)
    assert world.silence(world.quiet).missed == 2 and world.life(world.quiet).missing == 2
    assert world.province.store.tally()["records delivered again"] == 2


def test_a_sign_of_life_in_advance_counts_for_the_time_at_which_it_came(world: World) -> None:
    deliver(world.province, world.sign(world.quiet, first=2**53 - 1, last=2**53 - 1))
    world.pass_periods(3)
    assert world.silence(world.quiet).missed == 2


def test_a_count_that_cannot_be_true_hides_no_more_than_its_own_time(world: World) -> None:
    world.pass_periods(4)
    deliver(world.province, world.sign(world.quiet, first=world.now - LIFE_SECONDS, last=world.now, count=2**40))
    assert world.life(world.quiet).missing == 2


def test_signs_of_life_of_a_revoked_lock_count_for_nothing_and_it_is_not_watched(world: World) -> None:
    world.pass_periods(1, world.quiet)
    world.place(world.quiet, "1201", placement.REVOKED)
    world.pass_periods(4, world.quiet)
    assert world.quiet.lock_id not in watch.lives(world.province.store, world.now)
    verdicts = [item.verdict for item in world.province.store.records(LIFE, world.quiet.lock_id)]
    assert verdicts == ["ok"] + ["life.revoked"] * 4
    world.place(world.quiet, "1201")
    again = world.now
    world.pass_periods(3)
    assert world.silence(world.quiet).since == again, "it is watched from its new placement on"


def test_a_sign_of_life_out_of_the_chain_counts_for_nothing(world: World) -> None:
    deliver(world.province, world.sign(world.quiet))
    world.now += 4 * LIFE_SECONDS
    body = {**event(LIFE, "alive"), record.EARLIEST: world.now, record.LATEST: world.now}
    deliver(world.province, world.quiet.sign(world.quiet.payload(body, 2, b"\x01" * 32)))
    assert world.silence(world.quiet).missed == 3


# --- what people see -------------------------------------------------------------------------------------------------


def test_show_names_lock_edge_and_since_when_and_the_json_has_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.pass_periods(1, world.quiet, world.other)
    world.pass_periods(4, world.other)
    world.pass_periods(1, world.quiet)
    console = Console(width=200, record=True, file=io.StringIO())
    view.show(world.province.store, console, world.now)
    shown = console.export_text()
    for text in ("Silent locks", world.quiet.lock_id.hex()[:8], "edge-1", "healed 2024-", "4 missing"):
        assert text in shown
    assert "still silent" not in shown
    held = view.as_json(world.province.store, world.now + 4 * LIFE_SECONDS)
    assert [silence["cause"] for silence in held["silences"]] == ["edge", "edge", None]
    assert {silence["edge"] for silence in held["silences"]} == {"edge-1"}
    assert [lock["silent"] for lock in held["locks"]] == [True, True]
    missing = {lock["lock_id"]: lock["missing_signs_of_life"] for lock in held["locks"]}
    assert missing == {world.quiet.lock_id.hex(): 7, world.other.lock_id.hex(): 4}
    world.province.stop()
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["show", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("still silent") == 2 and "nothing comes from any lock" in shown, "by the time of this machine"
    assert main(["show", "--data", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["silences"]) == 3


def test_a_batch_of_another_edge_heals_it_and_the_silence_names_the_edge_before(world: World) -> None:
    world.pass_periods(1, world.quiet)
    world.pass_periods(3)
    batch = uplink.Batch(bytes(8), [world.sign(world.quiet)])
    world.province.registry.handle("edge-2", batch.encode())
    [silence] = world.life(world.quiet).silences
    assert (silence.edge, silence.healed_at) == ("edge-1", world.now)
    world.now += 4 * LIFE_SECONDS
    assert world.silence(world.quiet).edge == "edge-2"
