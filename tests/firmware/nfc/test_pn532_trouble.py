"""If the chip or the line fails, the PN532 driver recovers or reports an error. It never guesses. Time is virtual."""

import asyncio
import itertools
import os
from typing import Any

import pytest

from firmware.nfc import pn532
from firmware.nfc.hsu import Hsu
from firmware.nfc.pn532 import Pn532Reader
from firmware.nfc.pn532_chip import Pn532
from firmware.nfc.pn532_frames import ACK_BYTES, NACK_BYTES, encode
from protocol.errors import MooringError, TransportError
from sim.nfc.faults import Faults
from tests.support import pn532_scene as scene
from tests.support import tap
from tests.support.pn532_scene import nobody_for, one_visit, read, verified

SEEDS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 50


# --- a chip in trouble ------------------------------------------------------------------------------------------------


def test_a_chip_that_a_warm_reset_left_in_the_middle_of_a_command_is_freed_first() -> None:
    presentation, _ = one_visit(tap.phone(), Faults(stuck=True))
    assert len(verified(presentation)) == 1


@pytest.mark.parametrize("after", [0, 1, 5, 11, 12, 13, 20, 40, 60])
def test_a_chip_that_goes_deaf_is_woken_and_set_up_again(after: int) -> None:
    async def story() -> None:
        async with scene.reader(Faults(deaf_after=after)) as (reader, board):
            served = 0
            for _ in range(3):
                guest = asyncio.create_task(tap.phone().tap(board, patience=3))
                try:
                    card = await asyncio.wait_for(reader.wait_for_card(), 4)
                    served += len(verified(await read(card)))
                except TransportError as error:
                    assert error.code == "nfc.reader"
                except TimeoutError:
                    pass  # the phone was found before the chip failed, so the phone must be taken away first
                await guest
            assert served >= 2 and not board.chip.deaf

    scene.run(story())


def test_a_chip_that_goes_deaf_at_any_command_of_a_visit_is_ready_for_the_next_within_300_ms_of_its_end() -> None:
    async def story(after: int | None) -> tuple[float, int, int]:
        async with scene.reader(paced=True) as (reader, board):
            guest = asyncio.create_task(tap.phone().tap(board))
            card = await reader.wait_for_card()
            board.go_wrong(Faults(deaf_after=after))
            try:
                await tap.read_mdoc(card, scene.LICENCE)
            except TransportError as error:
                assert error.code in ("nfc.reader", "nfc.gone")
            ended = scene.now()  # the guest sees a light here
            await card.release()
            commands = board.chip.commands
            waiting = asyncio.create_task(reader.wait_for_card())
            guest.cancel()  # the guest leaves
            await asyncio.wait({guest})
            await scene.until(lambda: board.antenna.empty_looks >= 2 * pn532.ABSENT_POLLS, step=0.001)
            board.antenna.bring(board.card(b"\x08next"))
            await waiting
            return scene.now() - ended, commands, board.chip.revived

    _, whole, _ = scene.run(story(None))
    assert whole > 20
    for after in range(whole):
        seconds, _, revived = scene.run(story(after))
        assert (seconds <= 0.3, revived) == (True, 1), f"command {after}: {seconds:.3f} s"


def test_a_chip_that_stays_deaf_is_reported_at_growing_intervals_and_served_when_it_is_back() -> None:
    async def story() -> None:
        async with scene.board(Faults(deaf_after=20, deaf_wakes=14)) as board:
            resets: list[float] = []
            reader = Pn532Reader(scene.wire(board), reset=lambda: resets.append(scene.now()))
            guest = asyncio.create_task(tap.phone().tap(board))
            reports: list[float] = []
            presentation = None
            while presentation is None:
                try:
                    presentation = await read(await reader.wait_for_card())
                except TransportError as error:
                    assert error.code == "nfc.reader"
                    reports.append(scene.now())
            assert len(verified(presentation)) == 1 and (await guest).result == "presented"
            gaps = [later - earlier for earlier, later in itertools.pairwise(reports)]
            assert len(gaps) > 3 and gaps == sorted(gaps) and gaps[-1] < 12
            assert len(resets) == len(reports)

    scene.run(story())


def test_a_chip_that_goes_deaf_in_an_idle_night_is_noticed_without_a_guest() -> None:
    async def story() -> None:
        async with scene.reader(Faults(deaf_after=300)) as (reader, board):
            await nobody_for(reader, 300)
            assert board.chip.commands > 3000 and not board.chip.deaf

    scene.run(story(), seconds=4000)


def test_an_idle_chip_is_checked_and_from_time_to_time_set_up_anew() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 60)
            board.chip.parameters = 0x14  # the chip has this value after a reset that nobody noticed
            await nobody_for(reader, pn532.REFRESH_MS / 1000)
            assert board.chip.parameters == 0

    scene.run(story(), seconds=4000)


def test_an_idle_chip_that_answers_and_does_not_hold_what_it_is_told_is_set_up_anew() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            write, set_up = board.chip._handlers[0x08], board.chip._handlers[0x14]
            setups: list[float] = []

            async def forget(data: bytes) -> bytes | None:
                answer = await write(data)
                board.chip._registers = dict.fromkeys(board.chip._registers, 0xA5)
                return answer

            async def count(data: bytes) -> bytes | None:
                setups.append(scene.now())
                board.chip._handlers[0x08] = write  # a new setup of the chip removes the fault
                return await set_up(data)

            board.chip._handlers[0x08], board.chip._handlers[0x14] = forget, count
            await nobody_for(reader, 2 * pn532.CHECK_MS / 1000)
            assert len(setups) == 1 and setups[0] <= pn532.CHECK_MS / 1000 + 1
            guest = asyncio.create_task(tap.phone().tap(board))
            assert len(verified(await read(await reader.wait_for_card()))) == 1
            await guest

    scene.run(story())


def test_a_chip_that_was_reset_behind_the_drivers_back_is_taken_out_of_its_low_battery_mode() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            await nobody_for(reader, 1)
            board.chip.low_battery = True
            await nobody_for(reader, 2)
            assert not board.chip.low_battery
            guest = asyncio.create_task(tap.phone().tap(board))
            assert len(verified(await read(await reader.wait_for_card()))) == 1
            await guest

    scene.run(story())


@pytest.mark.parametrize("speed", [115200, 921600])
def test_a_chip_that_failed_is_found_again_at_whichever_speed_it_has_come_back(speed: int) -> None:
    async def story() -> None:
        async with scene.board() as board:
            uart = scene.Uart(board)
            chip = Pn532(Hsu(uart), 921600)
            await chip.start()
            board.chip.baudrate = speed
            began = scene.now()
            await chip.start()
            assert (uart.baudrate, board.chip.baudrate, chip.ready) == (921600, 921600, True)
            assert scene.now() - began < 0.1

    scene.run(story())


def test_a_line_without_a_chip_is_a_reader_in_trouble() -> None:
    async def story() -> None:
        async with scene.board() as board:
            line = scene.wire(board)
            board.attach(lambda data: None)
            reader = Pn532Reader(line)
            with pytest.raises(TransportError) as caught:
                await reader.wait_for_card()
            assert caught.value.code == "nfc.reader" and scene.now() < 5

    scene.run(story())


def test_a_chip_of_another_kind_is_not_spoken_to_further() -> None:
    async def story() -> None:
        async with scene.board() as board:

            async def another(data: bytes) -> bytes:
                return bytes.fromhex("33010607")

            board.chip._handlers[0x02] = another
            with pytest.raises(TransportError, match=r"nfc\.reader.*not a PN532"):
                await Pn532(scene.wire(board)).start()

    scene.run(story())


def test_the_speed_of_the_line_is_raised_and_found_again_after_a_warm_reset() -> None:
    async def story() -> None:
        async with scene.board() as board:
            for _ in range(2):
                uart = scene.Uart(board)
                chip = Pn532(Hsu(uart), 921600)
                await chip.start()
                assert (uart.baudrate, board.chip.baudrate) == (921600, 921600)
                assert await chip.command(0x02) == bytes.fromhex("32010607")

    scene.run(story())


# --- a bad line -------------------------------------------------------------------------------------------------------


def test_garbage_on_the_line_at_any_time_is_passed_over() -> None:
    async def story() -> None:
        async with scene.reader() as (reader, board):
            guest = asyncio.create_task(tap.phone().tap(board))

            async def chatter() -> None:
                for number in range(100000):
                    board.noise(bytes((number & 0xFF, 0, 0xFF, number * 7 & 0xFF)))
                    await asyncio.sleep(0.0037)

            noise = asyncio.create_task(chatter())
            presentation = await read(await reader.wait_for_card())
            noise.cancel()
            await guest
            assert len(verified(presentation)) == 1

    scene.run(story())


def test_a_response_of_an_earlier_command_is_never_taken_for_the_next_ones() -> None:
    """Some answers arrive after the driver has given up. Such a late answer must not count as the answer to the next
    command.
    """

    async def story() -> None:
        async with scene.board(Faults(seed=3, line_late=0.4, late_seconds=0.07)) as board:
            chip = Pn532(scene.wire(board))
            board.chip._activation_retries = 0
            for number in range(60):
                said = bytes((0, number))
                try:
                    assert await chip.command(0x00, said, timeout_ms=40) == said
                except TransportError as error:
                    assert error.code == "nfc.reader"

    scene.run(story())


class Script:
    """A line that is not an HSU. The other end of the line echoes Diagnose, and answers all other commands with the
    given bytes.
    """

    fixed = True

    def __init__(self, *answers: bytes) -> None:
        self.heard: list[bytes] = []
        self._answers = list(answers)
        self._coming = b""

    async def write(self, data: bytes) -> None:
        self.heard.append(data)
        if data[5:7] == b"\xd4\x00":
            self._coming += ACK_BYTES + encode(b"\xd5\x01" + data[7:-2])
        elif data != ACK_BYTES:
            self._coming += self._answers.pop(0)

    async def read(self, timeout_ms: int) -> bytes:
        if not self._coming:
            await asyncio.sleep(timeout_ms / 1000)
        coming, self._coming = self._coming, b""
        return coming

    async def wake(self) -> None:
        pass

    async def set_baudrate(self, baudrate: int) -> None:
        pass


RIGHT, OLD = encode(bytes.fromhex("d50332010607")), encode(bytes.fromhex("d50332010600"))
DAMAGED = RIGHT[:8] + b"\x55" + RIGHT[9:]


def test_an_answer_that_came_damaged_is_asked_for_again_and_its_command_is_not_repeated() -> None:
    line = Script(ACK_BYTES + DAMAGED, DAMAGED, RIGHT)
    assert scene.run(Pn532(line).command(0x02)) == bytes.fromhex("32010607")
    assert line.heard[2:] == [encode(b"\xd4\x02"), NACK_BYTES, NACK_BYTES]


def test_answers_from_before_the_ack_belong_to_somebody_else() -> None:
    assert scene.run(Pn532(Script(OLD + OLD + ACK_BYTES + RIGHT)).command(0x02)) == bytes.fromhex("32010607")


def test_an_answer_whose_ack_was_lost_is_not_believed_and_the_command_is_repeated() -> None:
    line = Script(OLD, ACK_BYTES + RIGHT)
    assert scene.run(Pn532(line).command(0x02)) == bytes.fromhex("32010607")


def test_a_block_whose_answer_was_lost_on_the_line_is_not_sent_again_from_here() -> None:
    line = Script(ACK_BYTES + encode(b"\xd5\x33"), ACK_BYTES)
    assert scene.run(Pn532(line).thru(b"\x02block", 10, 100)) is None
    assert [frame for frame in line.heard if b"block" in frame] == [encode(b"\xd4\x42\x02block")]


def test_a_command_that_the_chip_does_not_understand_is_a_fault_of_the_reader() -> None:
    error = bytes.fromhex("0000ff01ff7f8100")
    with pytest.raises(TransportError, match=r"nfc\.reader"):
        scene.run(Pn532(Script(*[ACK_BYTES + error] * 3)).command(0x02))


def noise(seed: int) -> Faults:
    """Return faults that lose or damage one block in eight. Real air has fewer faults than this, and real lines have
    far fewer.
    """
    return Faults(seed, air_lost=0.02, air_damaged=0.02, line_lost=0.01, line_damaged=0.01, line_late=0.01)


def test_on_noisy_air_and_a_noisy_line_taps_end_right_or_with_an_error_and_the_reader_goes_on() -> None:
    served = retried = 0
    for seed in range(SEEDS):

        async def story(seed: int = seed) -> int:
            async with scene.reader(noise(seed), looks_between=40) as (reader, board):
                for attempt in range(4):
                    guest = asyncio.create_task(tap.phone().tap(board))
                    try:
                        presentation = await read(await reader.wait_for_card())
                    except MooringError:
                        await guest
                        continue
                    await guest
                    assert len(verified(presentation)) == 1
                    return attempt
                return 4

        attempts = scene.run(story())
        served += attempts <= 1
        retried += attempts > 0
    assert served >= SEEDS * 0.99
    assert retried <= SEEDS * 0.1


def test_the_same_seed_makes_the_same_noise() -> None:
    def counts() -> Any:
        async def story() -> Any:
            async with scene.reader(noise(11), looks_between=40) as (reader, board):
                await nobody_for(reader, 20)
                return board.antenna.counts, board.line, reader.chip.commands

        return scene.run(story())

    assert counts() == counts()
