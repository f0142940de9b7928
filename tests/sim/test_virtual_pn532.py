"""The virtual PN532 alone: each command does what the manual says, byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.nfc import frames
from sim.nfc.card import Card, Traits
from sim.nfc.faults import Faults
from sim.nfc.virtual_pn532 import VirtualPn532
from tests.support import pn532_scene as scene

ACK = "0000ff00ff00"
WAKE = bytes.fromhex("5555") + bytes(14)


class Host:
    """The host's end of the line, controlled by a test. All bytes from the chip are kept in `heard`."""

    def __init__(self, board: VirtualPn532) -> None:
        self.board = board
        self.heard = b""
        board.attach(self._take)

    def _take(self, data: bytes) -> None:
        self.heard += data

    async def say(self, data: bytes | str, seconds: float = 0.5) -> str:
        """Send `data`, and return the bytes that come back within `seconds`, in hex."""
        self.heard = b""
        self.board.hear(bytes.fromhex(data) if isinstance(data, str) else data)
        await asyncio.sleep(seconds)
        return self.heard.hex()

    async def command(self, content: str, seconds: float = 0.5) -> str:
        """Send a command, check its ACK, and return the response. Both are given without TFI."""
        data = b"\xd4" + bytes.fromhex(content)
        head = bytes((len(data), -len(data) & 0xFF)) if len(data) < 256 else b"\xff\xff" + len(data).to_bytes(2, "big")
        head += bytes((-sum(head[2:]) & 0xFF,)) if len(data) >= 256 else b""
        said = await self.say(b"\0\0\xff" + head + data + bytes((-sum(data) & 0xFF, 0)), seconds)
        assert said.startswith(ACK)
        answer = bytes.fromhex(said.removeprefix(ACK))
        if answer == frames.SYNTAX_ERROR:
            return "error"
        start = 8 if answer[3:5] == b"\xff\xff" else 5
        assert answer[start] == 0xD5 and answer[start + 1] == data[1] + 1 and sum(answer[start:-1]) & 0xFF == 0
        return answer[start + 1 : -2].hex()


def with_host(story: Callable[[Host], Awaitable[None]], faults: Faults | None = None, **settings: object) -> None:
    async def scenery() -> None:
        async with scene.board(faults, **settings) as board:
            host = Host(board)
            board.hear(WAKE)
            await story(host)

    scene.run(scenery())


def test_a_sleeping_chip_misses_what_does_not_wake_it_first() -> None:
    async def story() -> None:
        async with scene.board() as board:
            host = Host(board)
            assert await host.say("0000ff02fed4022a00") == ""
            assert await host.say(bytes(10) + bytes.fromhex("0000ff02fed4022a00")) == ACK + "0000ff06fad50332010607e800"

    scene.run(story())


def test_each_command_answers_as_the_manual_says() -> None:
    async def story(host: Host) -> None:
        for said, answer in {
            "00 00 4d6f": "01004d6f",
            "00 01": "0100",
            "00 02": "0100",
            "00 09": "error",
            "02": "0332010607",
            "04": "0500000000",
            "08 6305 4a 6306 17": "09",
            "06 6305 6306 6307": "074a1700",
            "06 63": "error",
            "08 6305": "error",
            "12 00": "13",
            "14 01 00 00": "15",
            "14 09": "error",
            "32 01 01": "33",
            "32 02 000b0a": "33",
            "32 04 00": "33",
            "32 05 010001": "33",
            "32 0a 59f43f114d8561": "33",
            "32 07 00": "error",
            "40 01 00": "4127",
            "44 00": "4500",
            "44 01": "4527",
            "52 00": "5300",
            "54 01": "5527",
            "4a 01 00": "4b00",
            "06 6339": "0726",  # this register still holds the REQA that no card answered
            "4a 01 03 00": "4b00",
            "4a 03 00": "error",
            "42": "error",
            "42 b2": "4301",
            "99": "error",
            "10 0c": "error",
            "10 04": "11",
        }.items():
            assert (said, await host.command(said)) == (said, answer)

    with_host(story)


def test_the_longest_frame_there_and_back_is_extended() -> None:
    async def story(host: Host) -> None:
        data = "00" + bytes(range(256)).hex() + "00010203"
        assert await host.command("00" + data) == "01" + data

    with_host(story)


def test_a_damaged_frame_is_not_acknowledged() -> None:
    async def story(host: Host) -> None:
        for damaged in ("0000ff02fed4022b00", "0000ff02ffd4022a00", "0000ff02fed5022900", "00ff"):
            assert await host.say(damaged) == ""
        assert await host.say("0000ff02fed4022a00") != ""

    with_host(story)


def test_an_ack_ends_the_command_that_runs_and_a_nack_repeats_the_last_answer() -> None:
    async def story(host: Host) -> None:
        assert await host.command("14 01 00 00") == "15"
        assert await host.say("0000ff04fcd44a0100e100", 5) == ACK  # this command looks for a card for ever
        assert await host.say("0000ff00ff00") == ""
        assert host.board.chip.aborted == 1
        assert await host.command("00 00 61") == "010061"
        assert await host.say("0000ffff0000") == "0000ff04fcd5010061c900"

    with_host(story)


def test_a_chip_that_was_left_in_the_middle_of_a_command_hears_an_ack_alone() -> None:
    async def story(host: Host) -> None:
        assert await host.say(WAKE + bytes.fromhex("0000ff02fed4022a00")) == ""
        assert await host.say("0000ff00ff00") == ""
        assert await host.command("02") == "0332010607"

    with_host(story, Faults(stuck=True))


def test_power_down_needs_another_wake() -> None:
    async def story(host: Host) -> None:
        assert await host.command("16 20") == "1700"
        assert await host.say("0000ff02fed4022a00") == ""
        await host.say(WAKE)
        assert await host.command("02") == "0332010607"

    with_host(story)


def test_a_chip_in_low_battery_mode_acknowledges_what_is_for_the_air_and_does_nothing() -> None:
    async def story(host: Host) -> None:
        host.board.antenna.bring(Card(b"\x08abc"))
        assert await host.command("02") == "0332010607"
        for said in ("0000ff04fcd44a0100e100", "0000ff04fcd442e0808a00", "0000ff04fcd4320101f800"):
            assert await host.say(said) == ACK
        assert not host.board.antenna.field
        assert await host.command("14 01 00 00") == "15"
        assert (await host.command("4a 01 00")).startswith("4b01")
        await host.command("16 20")
        host.board.hear(WAKE)
        assert (await host.command("4a 01 00")).startswith("4b01"), "power-down keeps the mode"

    with_host(story)


def test_after_a_look_that_found_nobody_the_chip_sends_seven_bits_and_no_crc() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        await host.command("32 05 010000")
        assert await host.command("06 6302 6303 633d") == "07000000"
        assert await host.command("4a 01 00") == "4b00"
        assert await host.command("06 6302 6303 633d") == "07000007"
        air = host.board.antenna
        assert await host.command("42 2600") == "4301" and air.announced == []
        await host.command("08 633d 00")
        assert await host.command("42 a0b0") == "4301" and air.announced == []
        assert await host.command("42 a0b054b4") == "4301" and air.announced == []
        assert await host.command("42 0000a01e") == "4301" and air.announced == [b"\0\0"]  # annex B's first example
        await host.command("08 6302 80")
        assert await host.command("42 1234") == "4301" and air.announced[1:] == [b"\x12\x34"]
        await host.command("32 01 00")
        assert await host.command("42 1234") == "4301" and len(air.announced) == 2
        air.bring(Card(b"\x08abc"))
        assert (await host.command("12 00"), (await host.command("4a 01 00"))[:4]) == ("13", "4b01")
        assert await host.command("06 6302 6303 633d") == "07808000"
        await host.command("08 6303 00")
        # The answer ends with the card's CRC, which the host must check.
        assert await host.command("42 e080") == "4300" + "0578008000" + "5315"

    with_host(story)


def test_targets_are_listed_selected_and_released() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        await host.command("12 00")
        await host.command("32 05 010001")
        first, second = Card(b"\x08abc"), Card(b"\x08xyz")

        def states() -> tuple[str, str]:
            return first.state, second.state

        host.board.antenna.bring(first)
        assert await host.command("4a 02 00") == "4b01010004200408616263"
        assert await host.command("54 01") == "5500" and states() == ("active", "off")
        assert await host.command("42 e080") == "43000578008000" and states() == ("protocol", "off")
        host.board.antenna.bring(second)
        assert (
            await host.command("4a 02 00") == "4b0101000420040878797a"
        )  # the first card speaks ISO-DEP already, so it does not answer this command
        assert await host.command("32 01 00") == "33"
        assert states() == ("off", "off")
        assert await host.command("4a 02 00") == "4b020100042004086162630200042004" + "0878797a"
        assert states() == ("halted", "active")
        assert await host.command("04") == "05000102" + "01000010" + "02000010" + "00"
        assert await host.command("54 01") == "5500" and states() == ("active", "halted")
        assert await host.command("52 00") == "5300" and await host.command("54 01") == "5527"

    with_host(story)


def test_the_chips_own_iso_dep_reads_and_writes_in_frames_of_64_bytes() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        card = Card(b"\x08abc", Traits(fwi=4))
        host.board.antenna.bring(card)
        # SetParameters made the chip send RATS by itself, so the response ends with the card's ATS.
        assert (await host.command("4a 01 00")).endswith("0578004000")
        before = host.board.antenna.counts.frames
        card.answers.put_nowait(bytes(range(256)) * 2)
        said = await host.command("40 01" + "5a" * 100)
        assert said == "4140" + (bytes(range(256)) + bytes(range(6))).hex()
        assert await host.command("40 01") == "4100" + bytes(range(6, 256)).hex()
        assert await card.commands.get() == b"\x5a" * 100
        assert host.board.antenna.counts.frames - before == 2 * (2 + 9 - 1)

    with_host(story)


def test_a_speed_is_changed_when_the_host_has_acknowledged() -> None:
    async def story(host: Host) -> None:
        assert await host.command("10 07") == "11" and host.board.chip.baudrate == 115200
        await host.say("0000ff00ff00")
        assert host.board.chip.baudrate == 921600
        host.board.hear(bytes.fromhex("0000ff02fed4022a00"), 115200)
        await asyncio.sleep(0.1)
        assert host.heard == b""

    with_host(story)


@given(st.binary(max_size=600), st.integers(1, 100))
def test_no_bytes_of_a_host_make_the_chip_fail(data: bytes, step: int) -> None:
    buffer = bytearray()
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        frames.parse(buffer)
    assert len(buffer) <= 600


@pytest.mark.parametrize("paced", [False, True])
def test_what_is_paced_takes_its_time(paced: bool) -> None:
    async def story(host: Host) -> None:
        began = scene.now()
        while b"\xd5\x03" not in host.heard:
            await asyncio.sleep(0.0001)
            if scene.now() - began < 0.00015:
                host.board.hear(bytes.fromhex("0000ff02fed4022a00"))
        assert (scene.now() - began > 0.0015) is paced  # ACK and answer: 19 bytes at 115200 baud

    with_host(story, paced=paced)


# --- cards beside one another (ISO/IEC 14443-3, 6.3) ------------------------------------------------------------------


def test_a_card_put_to_sleep_answers_no_reqa_and_is_there_again_by_wupa_or_without_the_field() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        await host.command("12 00")
        await host.command("32 05 01 00 01")
        for uid in (b"\x04aaaaaa", b"\x04bbbbbb", b"\x04cccccc"):
            host.board.antenna.bring(Card(uid, Traits(sel_res=0x00, sens_res=b"\x44\x00")))
        host.board.antenna.bring(Card(b"\x08phn"))
        assert await host.command("4a 02 00") == "4b02" + "014400000704616161616161" + "024400000704626262626262"
        assert await host.command("42 5000") == "4301", "HLTA is never answered"
        assert await host.command("4a 02 00") == "4b02" + "014400000704636363636363" + "020004200408" + b"phn".hex()
        assert await host.command("42 5000") == "4301"
        assert await host.command("4a 02 00") == "4b00", "all four sleep"
        await host.command("32 01 00")
        assert (await host.command("4a 01 00")).startswith("4b0101440000070461")

    with_host(story)


def test_a_selected_card_that_hears_reqa_says_nothing_and_answers_the_next() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        await host.command("12 00")
        await host.command("32 05 01 00 00")  # each command looks once
        host.board.antenna.bring(Card(b"\x08abc"))
        assert (await host.command("4a 01 00")).startswith("4b01")
        assert await host.command("4a 01 00") == "4b00"
        assert (await host.command("4a 01 00")).startswith("4b01")

    with_host(story)


def test_a_card_with_a_fresh_uid_has_another_whenever_it_gets_power_and_keeps_it_meanwhile() -> None:
    async def story(host: Host) -> None:
        await host.command("14 01 00 00")
        await host.command("12 00")
        phone = Card(b"\x08abc", Traits(fresh_uid=True))
        host.board.antenna.bring(phone)
        uids = []
        for _ in range(3):
            await host.command("32 01 00")
            listed = await host.command("4a 01 00")
            assert bytes.fromhex(listed[-8:]) == phone.uid
            uids.append(phone.uid)
        assert len(set(uids)) == 3 and all(len(uid) == 4 and uid[0] == 0x08 for uid in uids)

    with_host(story)
