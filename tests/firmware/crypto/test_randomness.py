"""The lock never draws the same value twice, even if the chip's generator repeats itself (RFC 8937)."""

import asyncio
import hmac
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from firmware.crypto import generator
from firmware.memory import identity
from firmware.memory.store import Store
from protocol import crypto_cpython as crypto
from protocol.errors import StorageError
from sim.board import flash, interpreter
from sim.board.bus import BoardBus
from sim.board.interpreter import ROOT
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio
from tests.support.on_lock import script_as_compiled

LAPTOP = bytes(range(32)).hex()


def board(script: str, *arguments: str, image: Path | None = None) -> Any:
    """Run a script of `tests/on_micropython` on the lock's interpreter, and return what the script prints."""
    lock = interpreter.find()
    environment = lock.environment({"MOORING_FLASH": str(image)} if image else None)
    with script_as_compiled(ROOT / "tests" / "on_micropython" / script) as copy:
        command = lock.command(copy, *arguments)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return json.loads(done.stdout.rsplit("\x02", 1)[1])


def test_a_generator_that_repeats_after_each_boot_repeats_nothing(tmp_path: Path) -> None:
    image = flash.create(tmp_path / "flash.img")
    made = board("randomness_board.py", "enrol", LAPTOP, image=image)
    boots = [board("randomness_board.py", "boot", "secret", image=image) for _ in range(3)]
    numbers = [*made.values(), *(number for boot in boots for number in boot.values())]
    assert len(set(numbers)) == len(numbers) == 3 + 3 * 12
    # As a control, boot without a secret. Then each boot draws the same numbers as the previous boot.
    alone = [board("randomness_board.py", "boot", "nothing", image=image) for _ in range(2)]
    assert alone[0] == alone[1] and not set(alone[0].values()) & set(numbers)


def test_two_locks_whose_chips_draw_alike_differ_by_what_the_installers_computer_drew(tmp_path: Path) -> None:
    made = []
    for laptop in (LAPTOP, LAPTOP[::-1], LAPTOP):
        made.append(board("randomness_board.py", "enrol", laptop, image=flash.create(tmp_path / "flash.img")))
    assert not set(made[0].values()) & set(made[1].values())
    assert made[0] == made[2], "both chips draw the same"


def test_a_power_cut_at_each_operation_of_the_reservation_gives_no_number_twice() -> None:
    came = board("reservation_board.py")
    operations, lives = came["operations"], came["lives"]
    assert operations >= 2 and len(lives) == 2 * operations + 1 + operations + 1
    uncut = [life for life in lives if life[2] is not None]
    assert len(uncut) == 2, "nothing is drawn before the secret is reserved"
    for life in lives:
        drawn = [number for number in life if number is not None]
        assert len(drawn) in (4, 5) and life[3] is not None and life[4] is not None, "the lock boots after any cut"
        assert len(set(drawn)) == len(drawn)


def test_a_cut_after_something_was_drawn_never_brings_it_back() -> None:
    class Cut(Exception):
        pass

    class Flash(Store):
        def __init__(self) -> None:
            self.held: dict[str, bytes] = {}

        def read(self, name: str) -> bytes | None:
            return self.held.get(name)

        def write(self, name: str, content: bytes) -> None:
            if failing:
                raise Cut
            self.held[name] = content

    failing, store, drawn = False, Flash(), []
    for number in range(40):
        failing = number % 3 == 2
        before = generator.random(16)
        try:
            identity.begin(store)
            drawn.append(generator.random(32))
        except Cut:
            drawn.append(generator.random(32))  # the boot uses the previous secret, because the new one is not in flash
        drawn.append(before)
    assert len(set(drawn)) == len(drawn)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the chip's generator return the same value for ever."""
    monkeypatch.setattr(generator, "urandom", lambda length: b"\x55" * length)


@pytest.mark.usefixtures("stuck")
def test_a_stuck_generator_repeats_nothing_within_a_boot(tmp_path: Path) -> None:
    identity.begin(Store(str(tmp_path)))
    drawn = [generator.random(4) for _ in range(2000)]
    assert len(set(drawn)) > 1990
    assert len({generator.random(32) for _ in range(100)}) == 100
    assert [len(generator.random(length)) for length in (0, 1, 31, 32, 33, 500)] == [0, 1, 31, 32, 33, 500]
    long = generator.random(96)
    assert len({long[:32], long[32:64], long[64:]}) == 3


@pytest.mark.usefixtures("stuck")
def test_what_is_drawn_is_the_construction_of_rfc_8937() -> None:
    secret = bytes(range(32))
    generator.begin(secret)
    extracted = hmac.digest(secret, b"\x55" * 32, "sha256")
    expected = [hmac.digest(extracted, number.to_bytes(8, "big") + b"\x01", "sha256") for number in (1, 2, 3)]
    assert [generator.random(32), generator.random(8), generator.random(32)] == [
        expected[0],
        expected[1][:8],
        expected[2],
    ]


def test_a_good_generator_is_enough_for_who_knows_the_secret(tmp_path: Path) -> None:
    generator.begin(bytes(32))
    first = generator.random(32)
    generator.begin(bytes(32))
    assert generator.random(32) != first


@pytest.mark.usefixtures("stuck")
def test_what_lies_in_flash_does_not_tell_what_was_drawn_before(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    identity.begin(store)
    drawn = generator.random(32)
    held = store.read("secret")
    assert held is not None and len(held) == 40
    # Neither the secret in the file nor a boot from this file reproduces `drawn`.
    generator.begin(held[:32])
    assert generator.random(32) != drawn
    identity.begin(store)
    assert generator.random(32) != drawn and store.read("secret") != held
    assert [int.from_bytes(content[32:], "big") for content in (held, store.read("secret") or b"")] == [1, 2]


@pytest.mark.parametrize("content", [b"", bytes(39), bytes(41)])
def test_a_secret_out_of_form_stops_the_boot(tmp_path: Path, content: bytes) -> None:
    store = Store(str(tmp_path))
    identity.enrol(crypto, store, crypto.generate("P-256")[1])
    store.write("secret", content)
    if content:
        with pytest.raises(StorageError, match=r"identity\.corrupt"):
            identity.load(crypto, store)
    else:
        assert identity.load(crypto, store) is not None, "an empty file counts as no identity"


NOTING = """
import sys
import bluetooth
from firmware.crypto import generator
from os import urandom
drawn = []
def noting(length):
    drawn.append(bluetooth.BLE().active())
    if len(drawn) == most:
        told()
        raise SystemExit
    return urandom(length)
def told():
    print("radio", all(drawn), len(drawn))
generator.urandom = noting
"""
ENROLMENT = (
    "most = 0\n"
    + NOTING
    + """
exec(open(sys.argv[4]).read())
told()
"""
)
BOOT = (
    "most = 3\n"
    + NOTING
    + """
from firmware import main
from firmware.boards import esp32_c6_devkitc_1
from sim.board.boot import mount
main.main(mount(), esp32_c6_devkitc_1)
"""
)


def test_the_radio_runs_before_the_first_number_is_drawn_at_enrolment_and_at_boot(tmp_path: Path) -> None:
    lock = interpreter.find()
    arguments = (crypto.generate("P-256")[1].hex(), "{}", os.urandom(32).hex(), str(ROOT / "sim/board/enrol.py"))

    async def story() -> list[str]:
        said = []
        async with LockRadio(Air(), "F0:00:00:00:00:01").listening() as radio, BoardBus().listening() as bus:
            environment = lock.environment(
                {
                    "MOORING_FLASH": str(flash.create(tmp_path / "flash.img")),
                    "MOORING_RADIO": radio.endpoint,
                    "MOORING_BOARD": bus.address,
                }
            )
            for source in (ENROLMENT, BOOT):
                script = tmp_path / "script.py"
                script.write_text(source)
                process = await asyncio.create_subprocess_exec(
                    *lock.command(script, *arguments), env=environment, stdout=asyncio.subprocess.PIPE
                )
                said.append((await process.communicate())[0].decode())
        return said

    enrolment, boot = asyncio.run(story())
    assert re.search(r"^request [0-9a-f]+\nradio True ([4-9]|[1-9][0-9]+)$", enrolment, re.MULTILINE), enrolment
    assert re.search(r"^radio True 3$", boot, re.MULTILINE), boot


def test_nothing_on_the_lock_draws_past_the_one_place() -> None:
    drawing = re.compile(r"\burandom\b|\bgetrandbits\b|^\s*(?:import|from) random\b", re.MULTILINE)
    files = [*(ROOT / "firmware").rglob("*.py"), *(ROOT / "protocol").rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if drawing.search(path.read_text(encoding="utf-8"))}
    assert found == {"firmware/crypto/generator.py", "protocol/crypto_cpython.py"}
    assert len(files) > 100
