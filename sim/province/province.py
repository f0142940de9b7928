"""The province as one object, for scenarios and tests: store, registry and one consumer in this process."""

import time
from collections.abc import Callable
from pathlib import Path

from protocol import crypto_cpython as crypto
from protocol import placement, uplink
from protocol.errors import ConfigError
from protocol.trust import Issuer, ListEntry
from sim.hang import HANG_SECONDS
from sim.province.consumer import Consumer
from sim.province.keys import Keys
from sim.province.registry import Message, Registry, commands
from sim.province.store import Listing, Lock, Registration, Store


class Province:
    """Keeps data and keys in `data_dir`. Once started, the province speaks MQTT 5 to the broker at
    `broker_host`:`broker_port`.

    Without `keys`, the province uses the keys in `data_dir`. These keys are made at the first start. `clock` gives
    epoch seconds. Receipts and signed time statements carry the time of this clock.
    """

    def __init__(
        self,
        data_dir: Path,
        broker_host: str,
        broker_port: int,
        clock: Callable[[], float] = time.time,
        after_commit: Callable[[], None] | None = None,
        keys: Keys | None = None,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.keys = keys or Keys.load_or_generate(data_dir)
        self.store = Store(data_dir)
        self.registry = Registry(self.store, self.keys, clock)
        self._clock = clock
        self._broker = (broker_host, broker_port)
        self._after_commit = after_commit
        self._consumer: Consumer | None = None

    @property
    def public(self) -> bytes:
        """The public key for everything that the province signs. An installer pins this key on a lock."""
        return self.keys.signing_public

    @property
    def connected(self) -> bool:
        """Is the consumer connected to a broker and subscribed?"""
        return self._consumer is not None and self._consumer.subscribed

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self, timeout: float = HANG_SECONDS) -> None:
        """Connect, wait for the subscription, and send the latest receipts again.

        Raises ConfigError `province.broker` if the broker cannot be reached in time.
        """
        self.resume(timeout)

    def stop(self) -> None:
        """Disconnect and close the store."""
        self.pause()
        self.store.close()

    def pause(self) -> None:
        """Disconnect from the broker, as in an outage of the province. The data stays."""
        if self._consumer is not None:
            self._consumer.stop()
            self._consumer = None

    def resume(self, timeout: float = HANG_SECONDS) -> None:
        """Connect again after `pause`.

        Raises ConfigError `province.broker` when the broker cannot be reached in time.
        """
        if self._consumer is not None:
            return
        consumer = Consumer(self.registry, *self._broker, after_commit=self._after_commit)
        self._consumer = consumer
        consumer.start()
        if not self.wait_for(lambda _: consumer.subscribed, timeout):
            self.pause()
            host, port = self._broker
            advice = f"no broker at {host}:{port} lets us subscribe. Check --host and --port, and that the broker runs"
            raise ConfigError("province.broker", advice)
        # A crash between commit and publication may lose a receipt. So the latest receipt of each lock is sent again
        # here. The latest receipt is also sent again when the lock is seen.
        for lock in self.store.locks():
            receipt = self.store.receipt(lock.lock_id)
            if lock.edge is not None and receipt is not None:
                self._publish([(lock.edge, uplink.RECEIPT, uplink.Receipts([receipt[1]]).encode())])

    def wait_for(self, predicate: Callable[[Store], bool], timeout: float = HANG_SECONDS) -> bool:
        """Wait until `predicate(store)` holds, and return True. Return False after `timeout` seconds."""
        until = time.monotonic() + timeout
        with self.registry.changed:
            while not predicate(self.store):
                left = until - time.monotonic()
                if left <= 0:
                    return False
                # Each wait has a limit, because `changed` does not announce changes by another process.
                self.registry.changed.wait(min(left, 0.1))
        return True

    def _publish(self, messages: list[Message]) -> None:
        if self._consumer is not None:
            self._consumer.publish([message for message in messages if not self.registry.edges.is_revoked(message[0])])

    def relay(self, lock_id: bytes, statements: list[bytes]) -> None:
        """Send statements to the edge that last served the lock.

        If no edge has served the lock yet, the statements are sent when the lock is seen.
        """
        lock = self.store.lock(lock_id)
        if lock is not None and lock.edge is not None:
            self._publish(commands(lock.edge, lock_id, statements))

    # --- acting ------------------------------------------------------------------------------------------------------

    def admit_edge(self, edge: str, locks: list[bytes] | None = None) -> None:
        """Admit an edge, so that it gets passes. Raises the same errors as `Edges.admit`."""
        self.registry.edges.admit(edge, locks)

    def revoke_edge(self, edge: str) -> None:
        """Refuse an edge from now on, and revoke its certificates. Raises the same errors as `Edges.revoke`."""
        self.registry.edges.revoke(edge)
        self.registry.certificates.revoke(edge)

    def register_lock(
        self,
        identity_public: bytes,
        *,
        listing: str,
        room: str,
        platform_key: bytes,
        reader_chain: list[bytes],
        profile: str = "CN",
        status: str = placement.ACTIVE,
    ) -> bytes:
        """Place a lock (65-byte identity key) at a listing, or change its placement. Returns the placement statement.

        `reader_chain`: DER certificates of the lock's mdoc reader key, leaf first. Raises the same errors as
        `Registry.place`.
        """
        lock_id = placement.lock_id(crypto, identity_public)
        lock = Lock(lock_id, identity_public, listing, room, status, platform_key, profile)
        signed = self.registry.place(lock, reader_chain)
        # The passes go first, because an edge ignores every lock that its passes do not list.
        self._publish([(edge, uplink.PASS, passes) for edge, passes in self.registry.edges.changed()])
        self.relay(lock_id, [signed])
        return signed

    def declare_listing(self, code: str, *, doors: int = 1, admits: str = placement.NAMED) -> None:
        """Declare how many doors a listing has, and which guests the listing admits. Tell the listing's locks.

        Raises the same errors as `Registry.declare`.
        """
        for lock_id, signed in self.registry.declare(Listing(code, doors, admits)):
            self.relay(lock_id, [signed])

    def set_status(self, lock_id: bytes, status: str) -> bytes:
        """Make a placement `active`, `suspended` or `revoked`. Returns the new placement statement.

        Raises ConfigError `placement.lock` for a lock that is not registered.
        """
        lock = self.store.lock(lock_id)
        if lock is None:
            raise ConfigError("placement.lock", "no such lock is registered")
        return self.register_lock(
            lock.identity,
            listing=lock.listing,
            room=lock.room,
            platform_key=lock.platform_key,
            reader_chain=self.registry.placements.reader_chain(lock_id),
            profile=lock.profile,
            status=status,
        )

    def trust(self, issuers: list[Issuer], lists: list[ListEntry] | None = None) -> bytes:
        """Publish a trust list: the issuers and their revocation lists. Returns the statement.

        Publish the list again before locks find the list too old (`trust` in the profile), even if nothing has changed.
        """
        return self._tell_all(self.registry.trust(issuers, lists or []))

    def publish_list(self, number: int, content: bytes) -> bytes:
        """Publish an issuer's CRL, status list or identifier list under its number in the trust list.

        Returns the statement. Raises the same errors as `Registry.publish_list`.
        """
        return self._tell_all(self.registry.publish_list(number, content))

    def _tell_all(self, signed: bytes) -> bytes:
        for lock in self.store.locks():
            self.relay(lock.lock_id, [signed])
        return signed

    def queue_grant(self, lock_id: bytes, grant: bytes) -> None:
        """Send a platform's grant to a lock, now or when the lock is seen.

        Raises the same errors as `Registry.queue_grant`.
        """
        self.registry.queue_grant(lock_id, grant)
        self.relay(lock_id, [grant])

    def registrations(self, kind: int | None = None) -> list[Registration]:
        """Return the good records of openings, of one kind (protocol.record.CHECK_IN, ENTRY) or of both kinds.

        All other records are in `store`.
        """
        return self.store.registrations(kind)

    def events(self, kind: int | None = None) -> list[Registration]:
        """Return the good records of events, of one kind (from `protocol.record.EVENTS`) or of all kinds."""
        return self.store.events(kind)

    def statements_for(self, lock_id: bytes) -> list[bytes]:
        """Return all statements for a newly installed lock, and none for a lock that is not registered."""
        lock = self.store.lock(lock_id)
        return [] if lock is None else self.registry.lacking(lock, {})
