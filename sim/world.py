"""One door and everything it needs, in software: lock, radio, edge agent, broker, province, platform, guests.

The lock and the edge agent are processes of their own, running the code that ships; the rest lives in this process.
"""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2

from edge_agent.counted import counted
from firmware.boards import esp32_c6_devkitc_1 as pins
from protocol.errors import ConfigError, TransportError
from protocol.fittings import Fittings
from protocol.trust import Issuer
from sim import issuer, pki, sm_issuer, visitors
from sim.board import flash
from sim.board.bus import BoardBus
from sim.board.interpreter import ROOT, Interpreter, find
from sim.board.keypad import WiegandKeypad
from sim.bookings import Bookings
from sim.broker import Broker
from sim.findings import Findings
from sim.hang import HANG_SECONDS
from sim.lock_process import ConsoleLine, LockProcess
from sim.nfc.card import Traits
from sim.nfc.virtual_pn532 import VirtualPn532
from sim.people import Person
from sim.phone.phone import TapOutcome
from sim.phone.response import Authentication
from sim.platform import Platform
from sim.province.province import Province
from sim.radio.air import Air
from sim.radio.lock_radio import LockRadio
from sim.shown import Signal, signals
from sim.tap import ANSWERS, Tap
from sim.true_time import TrueTime
from sim.visitors import Visitor
from sim.wiretap import Wiretap

LISTING = "330106-7K2M9Q"
ROOM = "West Lake Lane 12, room 302"
_BETWEEN_CODES = 0.15
"""Seconds in which a hand comes back to the first key; the keys themselves come faster here than any hand's."""
LOCK_ADDRESS = "F0:00:00:00:00:01"
SWAP_LOOKS = 8
"""Looks at an empty field before the next phone is held to the reader. The lock polls with two looks each, and takes
the last phone for gone after three polls."""
BARE = Fittings()
"""A fail-secure strike, and no inputs."""
JUST_NOW = 120
"""Seconds that the world is ahead of this machine. Documents come from pymdoccbor, which signs them valid from this
moment on; a lock that knows the time to a second or two rightly refuses one that may not be valid yet."""


@dataclass
class World(Bookings, Findings):
    """Built by `build`; everything in it is running. `commits` tells of each message that the province has dealt with:
    when (seconds, monotonic), and up to which counter it held the lock's records then.

    `secret_digits` and `secret_keys` are what a scenario wants searched for as well: PINs, keys of stays.
    """

    folder: Path
    random: random.Random
    interpreter: Interpreter
    time: TrueTime
    iacas: Mapping[str, pki.Identity]
    signers: Mapping[str, pki.Identity]
    reader_root: pki.Identity
    platform: Platform
    broker: Broker
    province: Province
    air: Air
    radio: LockRadio
    bus: BoardBus
    reader: VirtualPn532
    keypad: WiegandKeypad
    lock: LockProcess
    hci: str
    wiretap: Wiretap
    commits: list[tuple[float, int]]
    fittings: Fittings
    profile: str
    identity_public: bytes = b""
    lock_id: bytes = b""
    edge: asyncio.subprocess.Process | None = None
    taps: list[Tap] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    secret_digits: list[str] = field(default_factory=list)
    secret_keys: list[bytes] = field(default_factory=list)
    _ticks_passed: int = 0
    on_step: Callable[[str], None] = lambda text: None

    # --- time and people ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        """The true time in this world, seconds since 1970."""
        return int(self.time.now())

    def visitor(
        self,
        doc_type: str = issuer.MDL,
        authentication: Authentication = "signature",
        signer: pki.Identity | None = None,
        days_valid: int = 365,
        revocation: Mapping[str, Any] | None = None,
        child: bool = False,
    ) -> Visitor:
        """Someone new, with a document issued today by pymdoccbor for a key that only their phone has. `revocation` is
        what its MSO says of where its status can be learnt."""
        person = self._invent(doc_type, child)
        return visitors.with_document(
            person, self.reader_root, signer or self.signers[person.country], authentication, days_valid, revocation
        )

    def national_visitor(self, signer: sm_issuer.Identity) -> Visitor:
        """Someone new with a resident's document of the SM suite, made today by `signer`."""
        return visitors.with_national_document(self._invent(issuer.RESIDENT_ID), self.reader_root, signer)

    def _invent(self, doc_type: str, child: bool = False) -> Person:
        person = Person.invent(self.random, doc_type, child)
        while any(person.name == other.name for other in self.people):
            person = Person.invent(self.random, doc_type, child)
        self.people.append(person)
        return person

    # --- the lock ----------------------------------------------------------------------------------------------------

    async def install(self) -> None:
        """What an installer does: the lock makes its keys, the province binds them to the listing."""
        enrol = ROOT / "sim" / "board" / "enrol.py"
        fitted = self.fittings.encode().decode()
        command = self.interpreter.command(enrol, self.province.public.hex(), fitted, os.urandom(32).hex())
        flash_and_radio = {"MOORING_FLASH": str(self.folder / "flash.img"), "MOORING_RADIO": self.radio.endpoint}
        environment = self.interpreter.environment(flash_and_radio)
        enrolment = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await enrolment.communicate()
        words = said.decode().split()
        if enrolment.returncode != 0 or len(words) < 2 or words[-2] != "request":
            raise ConfigError("world.enrolment", f"the lock did not enrol: {said.decode()[-300:]}")
        _, self.identity_public, reader_public, _ = cbor2.loads(bytes.fromhex(words[-1]))
        self.province.register_lock(
            self.identity_public,
            listing=LISTING,
            room=ROOM,
            platform_key=self.platform.public,
            profile=self.profile,
            reader_chain=[pki.reader_certificate(self.reader_root, reader_public, "door of " + LISTING)],
        )
        self.lock_id = self.province.store.locks()[0].lock_id
        self.province.trust(self.issuers())

    def issuers(self) -> list[Issuer]:
        """The issuers that the trust list names from the beginning: SE, then CN."""
        trusted = {"SE": [issuer.MDL, issuer.PHOTO_ID, issuer.PID], "CN": [issuer.RESIDENT_ID]}
        return [Issuer(self.iacas[country].der, doc_types) for country, doc_types in trusted.items()]

    async def publish(self, statement: Callable[[], bytes], kind: str) -> bytes:
        """Have the province make a statement of `kind`, and wait until the lock has taken it. Returns it."""
        before = len(self.lock.console)
        signed = statement()
        await self._taken(kind, before)
        return signed

    async def pass_time(self, seconds: int) -> None:
        """Let so much time go by: the lock sleeps through it, and learns of it from the province."""
        await self.lock.kill()
        self.time.offset += seconds
        await self.boot()

    async def boot(self, extra: Mapping[str, str] | None = None, papers: bool = False) -> None:
        """Power the lock up; with `papers`, return only once it holds what the province signs for it, and the time."""
        before = len(self.lock.console)
        await self.lock.start(extra)
        await self.lock.wait_for("lock.ready", since=before)
        for kind in ("time", "placement", "profile", "trust-list") if papers else ("time",):
            await self._taken(kind, before)

    async def tap(self, visitor: Visitor, **tapping: Any) -> Tap:
        """Hold the visitor's phone to the reader until the lock has answered. `tapping` is for `Phone.tap`."""
        return await self._at_the_door(visitor.name, visitor.phone.tap(self.reader, **tapping))

    async def enter(self, keys: str) -> Tap:
        """Type on the keypad, with `#` at the end, until the lock has answered."""

        async def typing() -> TapOutcome:
            await asyncio.sleep(_BETWEEN_CODES)
            for key in keys:
                self.keypad.press(key)
            return TapOutcome("unfinished")

        return await self._at_the_door("somebody at the keypad", typing(), at_the_reader=False)

    async def _at_the_door(self, who: str, act: Awaitable[TapOutcome], at_the_reader: bool = True) -> Tap:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now()))
        before, events = len(self.lock.console), len(self.bus.history)
        began = time.monotonic()
        outcome = await act

        with contextlib.suppress(TransportError):  # a lock that lost its power says nothing more
            await self._noticed(before, at_the_reader)
            answer = await self.lock.wait_for_any(ANSWERS, since=before)
            if answer.event == "tap.opened":
                # The board has told of it before, on its own line, which may be behind.
                await self.bus.wait_for(pins.STRIKE, 1, since=events)
            await self.until("the answer's tone", lambda: self.lock.ended or self._tone(answer) is not None)
        history = self.bus.history[events:]
        moved = next((e for e in history if e.facts.get("pin") == pins.STRIKE and e.facts["value"] == 1), None)
        opened_at = None if moved is None else max(began, self.moment(moved.ticks))
        console = self.lock.console[before:]
        answered = next((line for line in console if line.event in ANSWERS), None)
        shown = None if answered is None else self._tone(answered)
        tap = Tap(outcome, began, console, moved, opened_at, shown)
        self.taps.append(tap)
        self.on_step(f"{when}  {who}: {tap}")
        return tap

    def _tone(self, answer: ConsoleLine) -> Signal | None:
        """The tone that came with that answer, and its light; None if it has not begun yet."""
        # The lock shows its answer, then says so, and then lets it sound.
        return next(iter(signals(self.bus.history, since=answer.ticks)), None)

    def pin(self, name: str) -> int:
        """Number of the pin that a switch of the door is wired to."""
        return pins.INPUTS[name]

    async def switch(self, name: str, value: int) -> None:
        """Move one of the door's switches (0: at rest), and wait until the lock has noticed."""
        before = len(self.lock.console)
        self.bus.set_input(self.pin(name), value)
        await self.lock.wait_for("sensor." + name, since=before, where=lambda line: line.facts["active"] == str(value))

    def pass_ticks(self, milliseconds: int) -> None:
        """Let the lock's ticks go on by so much at once; what it waits for by its loop takes as long as ever."""
        self._ticks_passed += milliseconds
        self.bus.set_input("ticks", self._ticks_passed)

    async def _noticed(self, before: int, at_the_reader: bool) -> None:
        """Return once the lock has begun to serve who came. Raises TransportError `lock.unnoticed`, `lock.ended`."""
        looks = self.reader.antenna.counts.looks

        def begun() -> bool:
            return any(line.event == "tap.start" for line in self.lock.console[before:])

        def in_vain() -> bool:
            # The phone has left by now: a tap that had begun would have been told before the next look.
            return at_the_reader and self.reader.antenna.counts.looks >= looks + SWAP_LOOKS

        await self.until("the lock notices", lambda: begun() or in_vain() or self.lock.ended)
        for _ in range(20):  # what the lock has said is on its way through this loop
            await asyncio.sleep(0)
        if not begun():
            raise TransportError("lock.unnoticed", "the lock has not seen who came")

    # --- the edge agent and the network ------------------------------------------------------------------------------

    async def start_edge(self) -> None:
        """Start the edge agent in a process of its own, its adapter on the simulated air."""
        state = self.folder / "edge"
        config = self.folder / "edge.toml"
        config.write_text(
            f'name = "edge-1"\nstate_dir = "{state}"\nprovince_public_key = "{self.province.public.hex()}"\n'
            f'[mqtt]\nhost = "{self.broker.host}"\nport = {self.broker.port}\n'
            "[uplink]\nbatch_ms = 50\nreceipt_timeout_seconds = 5\n"
            f'[locks]\naddresses = ["{LOCK_ADDRESS}"]\n[log]\njson = true\n'
        )
        with (self.folder / "edge.log").open("ab") as log:
            self.edge = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-m",
                    "sim.radio.edge_on_air",
                    "--hci",
                    self.hci,
                    "--",
                    "run",
                    "--config",
                    str(config),
                ),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    async def stop_edge(self) -> None:
        """Take the edge agent's power away."""
        if self.edge is not None and self.edge.returncode is None:
            self.edge.kill()
            await self.edge.wait()

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a state of the world that no single event announces. Raises TransportError `world.waited`."""
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TransportError("world.waited", f"{what}: not within {HANG_SECONDS:.0f} s; see {self.folder}")
            await asyncio.sleep(0.02)

    async def drain(self) -> None:
        """Wait until the lock holds a receipt for all that it has written."""
        await self.until("all records receipted", self.drained)

    async def settle(self, records: int) -> None:
        """Wait until the province holds records of so many openings and the lock knows it by receipt."""
        await self.until(
            f"{counted(records, 'opening')} recorded at the province and receipted at the lock",
            lambda: self.recorded() >= records and self.receipted() >= records,
        )


@asynccontextmanager
async def build(
    folder: Path,
    seed: int = 1,
    runtime: str = "micropython",
    offset: int = JUST_NOW,
    on_step: Callable[[str], None] | None = None,
    fittings: Fittings = BARE,
    board: Mapping[str, str] | None = None,
    profile: str = "CN",
) -> AsyncIterator[World]:
    """A running world in `folder`, with a lock that is installed, booted and in touch with the province.

    `offset`: how far its time is ahead of this machine's, in seconds. `fittings`: what is wired to the lock. `board`:
    settings of the stand-ins that its board is made of. `profile`: the id of the jurisdiction's.

    Raises ConfigError for what the machine lacks and for an unknown profile, TransportError when the parts do not find
    each other.
    """
    say = on_step or (lambda text: None)
    chance = random.Random(seed)
    random.seed(seed)
    true_time = TrueTime(offset)
    async with AsyncExitStack() as stack:
        say("starting the broker and the province")
        broker = stack.enter_context(Broker("iotcore"))
        iacas = {country: pki.authority(f"TEST IACA {country}", country) for country in ("CN", "SE")}
        reader_root = pki.authority("TEST reader root")
        commits: list[tuple[float, int]] = []

        def committed() -> None:
            at = time.monotonic()
            commits.append((at, max((held.through for held in province.store.locks()), default=0)))

        province = Province(
            folder / "province",
            broker.host,
            broker.port,
            clock=true_time.at_the_province,
            after_commit=committed,
        )
        await asyncio.to_thread(province.start)
        stack.callback(province.stop)
        wiretap = Wiretap(broker.host, broker.port)
        await asyncio.to_thread(wiretap.start)
        stack.callback(wiretap.stop)
        say("putting the radio on the air")
        air = Air()
        radio = await stack.enter_async_context(LockRadio(air, LOCK_ADDRESS).listening())
        hci = await stack.enter_async_context(air.serving_hci())
        image = flash.create(folder / "flash.img")
        board = board or {}
        bus = BoardBus(lambda: lock.power_off(), lambda: flash.journal(image, board))
        await stack.enter_async_context(bus.listening())
        for pin in pins.INPUTS.values():
            bus.set_input(pin, 0)  # at rest: door shut, nobody at handle or key, cover on
        reader = VirtualPn532(traits=Traits(fresh_uid=True), looks_between=SWAP_LOOKS)
        uart = await reader.start()
        stack.push_async_callback(reader.stop)
        interpreter = find(runtime)
        environment = {
            "MOORING_FLASH": str(image),
            "MOORING_BOARD": bus.address,
            "MOORING_RADIO": radio.endpoint,
            "MOORING_UART1": uart,
            **board,
        }
        lock = LockProcess(interpreter, environment, folder / "lock.log")
        world = World(
            folder=folder,
            random=chance,
            interpreter=interpreter,
            time=true_time,
            iacas=iacas,
            signers={country: pki.document_signer(iaca) for country, iaca in iacas.items()},
            reader_root=reader_root,
            platform=Platform(),
            broker=broker,
            province=province,
            air=air,
            radio=radio,
            bus=bus,
            reader=reader,
            keypad=WiegandKeypad(bus, *pins.KEYPAD),
            lock=lock,
            hci=hci,
            wiretap=wiretap,
            commits=commits,
            fittings=fittings,
            profile=profile,
            on_step=say,
        )
        stack.push_async_callback(world.stop_edge)
        stack.push_async_callback(lock.kill)
        province.admit_edge("edge-1")
        await world.start_edge()
        say("installing the lock: it makes its keys, the province binds them to a listing")
        await world.install()
        say("booting the lock: it fetches placement, profile, trust list and the signed time over BLE")
        await world.boot(papers=True)
        yield world
