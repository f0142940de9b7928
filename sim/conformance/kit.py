"""The kit of a judge: an edge, a platform and some locks that exist only on paper.

Whoever has written a province registers them there. The kit also keeps every record that its locks have made. So the
next run goes on where the last one ended, and nothing has to be registered again.
"""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from protocol import crypto_cpython as crypto
from protocol import placement, record, statement
from protocol.errors import ConfigError, MooringError
from protocol.grant import Grant
from sim import pki

ROLES: Final = (
    "papers",
    "held",
    "identity",
    "receipts",
    "gap",
    "sealed",
    "chain",
    "doubled",
    "forged",
    "full",
    "killed",
)
"""The locks of a kit. What a province did for one clause does not disturb another one."""

PROFILE: Final = "CN"
EDGE: Final = "conformance"
DAY: Final = 86400


@dataclass
class PaperLock:
    """A lock that makes records as a lock does, but has no door. `records` are all of them, in order of counter.

    `second` is a record with the counter of an earlier one, if the lock has made such a record. It stays the same,
    because a province signs few refusals a minute and repeats the one that it has.
    """

    role: str
    private: bytes
    records: list[bytes] = field(default_factory=list)
    second: bytes = b""

    def __post_init__(self) -> None:
        self.public = crypto.public("P-256", self.private)
        self.lock_id = placement.lock_id(crypto, self.public)
        self.listing = f"CONFORMANCE-{self.role}-{self.lock_id[:4].hex()}"

    @classmethod
    def new(cls, role: str) -> "PaperLock":
        """Make a lock with a fresh key."""
        return cls(role, crypto.generate("P-256")[0])

    @property
    def head(self) -> bytes:
        """The payload hash of the last record."""
        return record.head(self.records[-1]) if self.records else record.GENESIS

    def make(self, sealing: bytes, previous: bytes | None = None, counter: int = 0, signer: bytes = b"") -> bytes:
        """Return a record that is not appended. By default it is the next record of the chain.

        It is sealed to the point `sealing`, and signed by `signer` or by the lock.
        """
        now = int(time.time())
        event = {
            record.KIND: record.BOOT,
            record.EARLIEST: now,
            record.LATEST: now,
            record.LISTING_CODE: self.listing,
            record.PROFILE_ID: PROFILE,
            record.WHAT: "power-on",
            record.COUNT: 1,
        }
        number = counter or len(self.records) + 1
        payload = record.seal(crypto, sealing, self.lock_id, number, previous or self.head, event)
        return record.sign(crypto, signer or self.private, payload)

    def append(self, sealing: bytes, count: int = 1, previous: bytes | None = None) -> list[bytes]:
        """Append this many records and return them. `previous` breaks the chain before the first of them."""
        for _ in range(count):
            self.records.append(self.make(sealing, previous))
            previous = None
        return self.records[-count:]

    def double(self, sealing: bytes) -> bytes:
        """Return a second record with the counter of an earlier record. The first call makes it."""
        if not self.second:
            last = record.parse(self.records[-1])
            self.second = self.make(sealing, last.previous, last.counter)
        return self.second


class Kit:
    """Everything that a judge needs to know about itself. `locks` has the locks by role."""

    def __init__(self, link: bytes, platform: bytes, locks: dict[str, PaperLock], grants: list[list[str]]) -> None:
        self.link, self.platform, self.locks, self._grants = link, platform, locks, grants
        self.link_public = crypto.public("P-256", link)
        self.platform_public = crypto.public("P-256", platform)

    @classmethod
    def new(cls) -> "Kit":
        """Make a kit with fresh keys. Its grants are for the next thirty days."""
        locks = {role: PaperLock.new(role) for role in ROLES}
        stranger, platform = crypto.generate("P-256")[0], crypto.generate("P-256")[0]
        papers = locks["papers"]
        grants = [
            [signer, _grant(papers.listing, private).hex()]
            for signer, private in (("platform", platform), ("platform", platform), ("stranger", stranger))
        ]
        return cls(crypto.generate("P-256")[0], platform, locks, grants)

    @property
    def genuine(self) -> list[bytes]:
        """The grants that the platform of the placement has signed."""
        return [bytes.fromhex(data) for signer, data in self._grants if signer == "platform"]

    @property
    def foreign(self) -> list[bytes]:
        """Grants that another platform has signed. No lock may get them."""
        return [bytes.fromhex(data) for signer, data in self._grants if signer != "platform"]

    def to_register(self) -> dict[str, Any]:
        """Return what the province must know: the edge, the locks, and the grants that the platform hands in."""
        root = pki.authority("reader root")
        chain = pki.reader_certificate(root, crypto.generate("P-256")[1])  # one for all, because no phone sees it
        return {
            "edge": {"name": EDGE, "locks": [lock.lock_id.hex() for lock in self.locks.values()]},
            "locks": [
                {
                    "lock_id": lock.lock_id.hex(),
                    "identity": lock.public.hex(),
                    "listing": lock.listing,
                    "room": lock.role,
                    "profile": PROFILE,
                    "platform_key": self.platform_public.hex(),
                    "reader_chain": [chain.hex()],
                }
                for role, lock in self.locks.items()
            ],
            "grants": [{"lock_id": self.locks["papers"].lock_id.hex(), "grant": data} for _, data in self._grants],
        }

    # --- on disk -----------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the kit, with its private keys, into a file that only its owner can read. Raises ConfigError
        `conformance.kit`."""
        told = {
            "link": self.link.hex(),
            "platform": self.platform.hex(),
            "grants": self._grants,
            "locks": {
                role: {
                    "private": lock.private.hex(),
                    "records": [each.hex() for each in lock.records],
                    "second": lock.second.hex(),
                }
                for role, lock in self.locks.items()
            },
        }
        part = path.with_name(path.name + ".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(told, file)
            part.replace(path)
        except OSError as error:
            raise ConfigError(
                "conformance.kit", f"{path} cannot be written: {error.strerror}. Name another file"
            ) from None

    @classmethod
    def load(cls, path: Path) -> "Kit":
        """Read a kit. Raises ConfigError `conformance.kit`."""
        try:
            if path.exists() and not path.is_file():
                raise ValueError  # a device may have no end
            held = json.loads(path.read_text())
            locks = {
                role: PaperLock(
                    role,
                    bytes.fromhex(one["private"]),
                    [bytes.fromhex(each) for each in one["records"]],
                    bytes.fromhex(one["second"]),
                )
                for role, one in held["locks"].items()
            }
            kit = cls(bytes.fromhex(held["link"]), bytes.fromhex(held["platform"]), locks, held["grants"])
            if set(locks) != set(ROLES) or not (kit.genuine and kit.foreign):
                raise ValueError
            for lock in locks.values():
                for data in lock.records:
                    record.parse(data)
        except OSError as error:
            advice = f"{path} cannot be read: {error.strerror}. Make a kit with `python -m sim.conformance kit`"
            raise ConfigError("conformance.kit", advice) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MooringError):
            advice = f"{path} is not a kit. Make one with `python -m sim.conformance kit`"
            raise ConfigError("conformance.kit", advice) from None
        return kit


def _grant(listing: str, platform: bytes) -> bytes:
    now = int(time.time())
    form = Grant(os.urandom(16), 1, listing, now, now + 30 * DAY, 1, [], False, now + 30 * DAY, b"")
    return statement.sign(crypto, platform, "grant", form.body())
