"""A whole site in software: doors, edge agents and guests, with the air, the broker, the platform and the province.

Locks and edge agents run the code that ships. Each edge agent is a separate process. Each lock is a separate process
too, unless the plan makes it a thread of this process. Everything else runs in this process.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cbor2

from protocol import crypto_cpython as crypto
from protocol import placement
from protocol.fittings import Fittings
from protocol.record import CHECK_IN
from protocol.trust import Issuer
from sim import issuer, pki, sm_issuer, visitors
from sim.bell import Bell
from sim.board import flash
from sim.board.interpreter import Interpreter, find
from sim.bookings import Bookings
from sim.broker import Broker, started
from sim.door import Door
from sim.edge import Edge
from sim.exposure import Search
from sim.hardware import assembled
from sim.lock_process import LockProcess
from sim.lock_thread import LockThread
from sim.loopback import serving, serving_directly
from sim.people import Person
from sim.phone.response import Authentication
from sim.platform import Platform
from sim.province.province import Province
from sim.radio.air import Air
from sim.true_time import TrueTime
from sim.visitors import Visitor
from sim.waiting import until
from sim.wiretap import Wiretap
from sim.words import Phrase, phrase

LISTING = "330106-7K2M9Q"
ROOM = "West Lake Lane 12, room 302"
BARE = Fittings()
"""Fittings of a lock with a fail-secure strike and no inputs."""
JUST_NOW = 120
"""Seconds by which a site's time is ahead of this machine's time. pymdoccbor makes documents that are valid from this
machine's present time on. A lock knows the time only to a second or two, and rightly refuses a document that may not be
valid yet.
"""

LINGERS = 0.15
"""Seconds for which the reader chip waits for a card, if the lock is a thread.

This time must be shorter than the 250 ms for which the driver waits for the chip's answer.
"""


@dataclass(frozen=True)
class Plan:
    """The parts of a site. The site's doors are assigned to its listings in turn.

    `edges` has, for each edge agent, the numbers (from 1) of the doors that the agent serves. `fittings` is the
    hardware wired to each lock. `board` has the settings of the stand-ins for each board's hardware. `profile` is the
    id of the jurisdiction's profile. `offset` is the number of seconds by which the site's time is ahead of this
    machine's. If `threads` is true, the locks run as threads of this process, on CPython. Otherwise each lock is a
    process.
    """

    doors: int = 1
    listings: int = 1
    edges: Sequence[Sequence[int]] = ((1,),)
    fittings: Fittings = BARE
    board: Mapping[str, str] = field(default_factory=dict)
    profile: str = "CN"
    offset: int = JUST_NOW
    threads: bool = False

    def listing(self, number: int) -> str:
        """Return the code of the listing to which door `number` belongs. Doors are numbered from 1."""
        which = (number - 1) % self.listings
        return f"330106-{which:06}" if which else LISTING

    def address(self, number: int) -> str:
        """Return the Bluetooth address of the lock at door `number`."""
        return f"F0:00:00:00:{number >> 8:02X}:{number & 0xFF:02X}"


@dataclass
class Site:
    """A running site. `build` makes it.

    `commits` has an entry for each message that the province has processed. The entry has the time in monotonic
    seconds. For each lock, the entry also has the counter up to which the province had all records of this lock.
    `secret_digits` and `secret_keys` are PINs and stay keys for which `exposed` has to search too. The `bell` is rung
    at each report of a lock, a board, an edge agent, the wiretap or the province, and at each moment of a phone.
    """

    folder: Path
    plan: Plan
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
    hci: str
    wiretap: Wiretap
    commits: list[tuple[float, dict[bytes, int]]]
    on_step: Callable[[Phrase], None]
    doors: list[Door] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    secret_digits: list[str] = field(default_factory=list)
    secret_keys: list[bytes] = field(default_factory=list)
    bell: Bell = field(default_factory=Bell)

    def tell_nobody(self) -> None:
        """From now on, do not report the steps of a scenario."""
        self.on_step = lambda _: None

    # --- time and people ---------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Return the true time at this site, in seconds since 1970."""
        return int(self.time.now())

    async def pass_time(self, seconds: int) -> None:
        """Move the site's time ahead by `seconds`. During that time, the locks are off. Then the province tells the
        locks the new time.
        """
        for door in self.doors:
            await door.lock.kill()
        self.time.offset += seconds
        for door in self.doors:
            await door.boot()

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a state of the site that no single event announces.

        Raises TransportError `site.waited` if `condition` does not become true in time.
        """
        await until(what, condition, self.folder)

    def visitor(
        self,
        doc_type: str = issuer.MDL,
        authentication: Authentication = "signature",
        signer: pki.Identity | None = None,
        days_valid: int = 365,
        revocation: Mapping[str, Any] | None = None,
        child: bool = False,
    ) -> Visitor:
        """Invent a visitor. pymdoccbor issues the document today, for a key that only the visitor's phone has.

        `revocation` is the member of the document's MSO that says where the document's status is published.
        """
        person = self._invent(doc_type, child)
        return visitors.with_document(
            person, self.reader_root, signer or self.signers[person.country], authentication, days_valid, revocation
        )

    def national_visitor(self, signer: sm_issuer.Identity) -> Visitor:
        """Invent a visitor with a resident's document of the SM suite, issued today by `signer`."""
        return visitors.with_national_document(self._invent(issuer.RESIDENT_ID), self.reader_root, signer)

    def _invent(self, doc_type: str, child: bool = False) -> Person:
        person = Person.invent(self.random, doc_type, child)
        while any(person.name == other.name for other in self.people):
            person = Person.invent(self.random, doc_type, child)
        self.people.append(person)
        return person

    def issuers(self) -> list[Issuer]:
        """Return the issuers in the first trust list: SE, then CN."""
        trusted = {"SE": [issuer.MDL, issuer.PHOTO_ID, issuer.PID], "CN": [issuer.RESIDENT_ID]}
        return [Issuer(self.iacas[country].der, doc_types) for country, doc_types in trusted.items()]

    # --- what came of it ---------------------------------------------------------------------------------------------

    def duplicates(self) -> int:
        """Return the number of check-ins at the province that repeat an earlier check-in of the same guest, stay and
        lock."""
        check_ins = [(r.lock_id, r.grant_id, r.guest) for r in self.province.registrations(CHECK_IN)]
        return len(check_ins) - len(set(check_ins))

    def search(self) -> Search:
        """Return a search for all guests' data, the PINs and stay keys of the scenario, and the private keys."""
        keys = self.province.keys
        owned = [keys.signing_private, keys.sealing_private, self.platform.private, *self.secret_keys]
        return Search((text for person in self.people for text in person.secrets()), owned, self.secret_digits)

    def exposed(self) -> list[str]:
        """Return the places in which the search finds such data: files of locks and edge agents, logs, and MQTT topics.

        Every scenario promises that there is no such place.
        """
        search = self.search()
        heard = {m.topic for m in self.wiretap.heard if search.hits(m.payload) or search.hits(m.topic.encode())}
        return sorted("MQTT " + topic for topic in heard) + search.files(self.folder, "province", flash.content)


@asynccontextmanager
async def build(
    folder: Path,
    seed: int = 1,
    runtime: str | Interpreter = "micropython",
    plan: Plan | None = None,
    on_step: Callable[[Phrase], None] | None = None,
) -> AsyncIterator[Site]:
    """Build and run a site in `folder`. When this returns, the locks are installed, booted and in contact with the
    province.

    `runtime` is what runs the locks: a name that `find` knows, or an interpreter.

    Raises ConfigError if the machine lacks something that the site needs or if the profile is unknown. Raises
    TransportError if the parts do not reach each other.
    """
    say = on_step or (lambda text: None)
    plan = plan or Plan()
    random.seed(seed)
    true_time = TrueTime(plan.offset)
    bell = Bell()
    async with AsyncExitStack() as stack:
        say(phrase("starting the broker and the province"))
        broker = stack.enter_context(await started())
        iacas = {country: pki.authority(f"TEST IACA {country}", country) for country in ("CN", "SE")}
        commits: list[tuple[float, dict[bytes, int]]] = []

        def committed() -> None:
            at = time.monotonic()
            commits.append((at, {held.lock_id: held.through for held in province.store.locks()}))
            bell.ring()

        province = Province(
            folder / "province",
            broker.host,
            broker.port,
            clock=true_time.at_the_province,
            after_commit=committed,
        )
        stack.callback(province.stop)
        await asyncio.to_thread(province.start)
        wiretap = Wiretap(broker.host, broker.port, bell)
        await asyncio.to_thread(wiretap.start)
        stack.callback(wiretap.stop)
        say(phrase("putting the radio on the air"))
        air = Air()
        site = Site(
            folder=folder,
            plan=plan,
            random=random.Random(seed),
            interpreter=find(runtime) if isinstance(runtime, str) else runtime,
            time=true_time,
            iacas=iacas,
            signers={country: pki.document_signer(iaca) for country, iaca in iacas.items()},
            reader_root=pki.authority("TEST reader root"),
            platform=Platform(),
            broker=broker,
            province=province,
            air=air,
            hci=await stack.enter_async_context(air.serving_hci()),
            wiretap=wiretap,
            commits=commits,
            on_step=say,
            bell=bell,
        )
        for number, served in enumerate(plan.edges, 1):
            addresses = [plan.address(each) for each in served]
            edge = Edge(f"edge-{number}", folder, addresses, site.hci, broker, province.public, bell)
            province.admit_edge(edge.name)
            stack.push_async_callback(edge.stop)
            site.edges.append(edge)
            if not plan.threads:
                await edge.start()  # the agent starts while the lock is installed
        say(phrase("installing the lock: it makes its keys, the province binds them to a listing"))
        numbers = range(1, plan.doors + 1)
        for code in dict.fromkeys(map(plan.listing, numbers)):
            province.declare_listing(code, doors=-(-plan.doors // plan.listings))
        for number in numbers:
            site.doors.append(await _install(stack, site, number))
        province.trust(site.issuers())
        say(phrase("booting the lock: it fetches placement, profile, trust list and the signed time over BLE"))
        # With many locks, the agents start last. Agents that started earlier would lose 20 seconds with each lock that
        # is still off.
        late = site.edges if plan.threads else []
        await asyncio.gather(*(door.boot(statements=True) for door in site.doors), *(edge.start() for edge in late))
        yield site


async def _install(stack: AsyncExitStack, site: Site, number: int) -> Door:
    """Install the lock of door `number`: the lock makes its keys, and the province binds them to the listing."""
    plan, name, listing = site.plan, f"door-{number}", site.plan.listing(number)
    folder = site.folder / name
    bell, lingers = site.bell, LINGERS if plan.threads else 0.0
    serve = serving_directly if plan.threads else serving
    make_lock = partial(LockThread, bell=bell) if plan.threads else partial(LockProcess, site.interpreter, bell=bell)
    hardware = await stack.enter_async_context(
        assembled(folder, plan.address(number), site.air, make_lock, plan.board, serve, lingers, bell)
    )
    request = await hardware.lock.enrol(site.province.public, plan.fittings.encode())
    _, identity_public, reader_public, _ = cbor2.loads(request)
    site.province.register_lock(
        identity_public,
        listing=listing,
        room=ROOM,
        platform_key=site.platform.public,
        profile=plan.profile,
        reader_chain=[pki.reader_certificate(site.reader_root, reader_public, f"door of {listing}")],
    )
    lock_id = placement.lock_id(crypto, identity_public)
    bookings = Bookings(site.platform, site.province, hardware.lock, lock_id, identity_public, listing, site.time)
    return Door(name, folder, hardware, plan.fittings, bookings, site.time, lambda text: site.on_step(text), bell)
