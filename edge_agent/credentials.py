"""Key and passes with which this edge agent proves its identity to a lock. The province signs the passes for the key.

The agent makes the key, and the key never leaves the machine. The passes come over MQTT in one message, or an installer
copies that message into the state directory. Passes are public and useless without the key. All passes together list
the locks of this edge. The agent does not talk to any other lock.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge_agent import files, log
from protocol import crypto_cpython as crypto
from protocol import link, statement, uplink
from protocol.edge_pass import KIND, EdgePass
from protocol.errors import FormatError, StorageError, VerificationError
from protocol.link_initiator import HINT_BYTES

KEY_FILE: Final = "link.key"
PASS_FILE: Final = "edge.pass"  # noqa: S105  no password


class Credentials:
    """Key and passes in `state_dir`. The key is made at the first start. Only the owner of the file can read it (mode
    0600).

    `province_public` is the province's key, or None in an experiment without that key. In such an experiment, the agent
    checks only the form of passes and keeps them in memory; the locks check their signatures. Raises StorageError
    `link.key` if the key file cannot be used or written.
    """

    def __init__(self, state_dir: Path, province_public: bytes | None) -> None:
        self._path = state_dir / PASS_FILE
        self._province_public = province_public
        self.static = _load_or_make(state_dir / KEY_FILE)
        """Private scalar and public point."""
        self.available = asyncio.Event()
        """This event is set as soon as the agent has passes."""
        self._refused = False
        self.issued_at = 0
        """Time at which the province issued the passes, in epoch seconds; 0 while the agent has no pass."""
        self.not_after = 0
        """End of the passes, in epoch seconds; 0 while the agent has no pass."""
        self._passes: dict[bytes, bytes] = {}
        self._prefixes: dict[bytes, list[bytes]] = {}
        self._restore()

    @property
    def refused(self) -> bool:
        """Return True if a lock has refused a pass of ours. Then the agent should ask for newer passes."""
        return self._refused

    def note_refusal(self) -> None:
        """Record that a lock has refused our pass."""
        self._refused = True

    @property
    def public(self) -> bytes:
        """Our public key, a 65-byte point. Every pass must name this key."""
        return self.static[1]

    @property
    def locks(self) -> frozenset[bytes]:
        """Ids of this edge's own locks. A lock is our own if a pass lists it."""
        return frozenset(self._passes)

    def admits(self, lock_id: bytes) -> bool:
        """Return True if this lock is one of our own locks."""
        return lock_id in self._passes

    def claimed(self, advertised: bytes, is_wanted: Callable[[bytes], bool] = lambda _lock_id: True) -> bytes | None:
        """Return the id of our own lock that advertises this content, or None if no own lock does.

        The ids of two own locks may begin with the same bytes. Then the lock for which `is_wanted` returns True is
        returned. Only the handshake shows which lock it is.
        """
        if len(advertised) != link.PREFIX_BYTES + HINT_BYTES:
            return None
        claimed = self._prefixes.get(advertised[: link.PREFIX_BYTES], [])
        return next(filter(is_wanted, claimed), claimed[0] if claimed else None)

    def pass_for(self, lock_id: bytes) -> bytes | None:
        """Return the pass to show to this lock, as the province signed it, or None if no pass lists the lock."""
        return self._passes.get(lock_id)

    def take(self, message: bytes) -> bool:
        """Replace all passes by the passes in a message on the topic `pass`. If one of the new passes is wrong, no pass
        is replaced.

        Return False if the present passes are as new as those in the message. Raises FormatError, VerificationError.
        """
        issued_at, not_after, passes = self._read(message)
        if issued_at <= self.issued_at:
            return False
        self._use(issued_at, not_after, passes)
        if self._province_public is None:
            # These passes may be forged. If these passes were stored, they could keep out genuine passes at the next
            # start.
            return True
        try:
            files.replace(self._path, message, durable=True)
        except OSError as error:
            # The agent uses these passes until its next start. Then the province sends the passes again.
            log.event("pass.not_stored", reason=error.strerror or type(error).__name__)
        return True

    def _use(self, issued_at: int, not_after: int, passes: dict[bytes, bytes]) -> None:
        self.issued_at, self.not_after, self._passes, self._refused = issued_at, not_after, passes, False
        self._prefixes = {}
        for lock_id in sorted(passes):
            self._prefixes.setdefault(lock_id[: link.PREFIX_BYTES], []).append(lock_id)
        self.available.set()

    def _read(self, message: bytes) -> tuple[int, int, dict[bytes, bytes]]:
        """Return the time at which the passes in a message were issued, the time at which the first of them ends, and
        the pass for each lock."""
        statements = uplink.parse_passes(message).statements
        forms = [self._read_one(signed) for signed in statements]
        together = {(form.issued_at, form.parts) for form in forms}
        passes = {lock_id: signed for form, signed in zip(forms, statements, strict=True) for lock_id in form.locks}
        # One message brings all passes of this edge. This check notices when the broker has left a pass out.
        if together != {(forms[0].issued_at, len(forms))} or len(passes) != sum(len(form.locks) for form in forms):
            raise VerificationError("edge-pass.together", "these are not exactly the passes that were issued together")
        return forms[0].issued_at, min(form.not_after for form in forms), passes

    def _read_one(self, signed: bytes) -> EdgePass:
        body: dict[Any, Any]
        if self._province_public is None:
            body = statement.parse(signed).read(KIND)
        else:
            body = statement.open(crypto, signed, KIND, self._province_public)
        form = EdgePass.parse(body)
        if form.edge_public != self.public:
            raise VerificationError("edge-pass.key", "the pass is for another key than the one of this edge")
        return form

    def _restore(self) -> None:
        if self._province_public is None:
            return
        with contextlib.suppress(FileNotFoundError):
            try:
                self._use(*self._read(self._path.read_bytes()))
            except FileNotFoundError:
                raise
            except (OSError, FormatError, VerificationError) as error:
                # The agent can go on, because it asks the province for new passes.
                log.event("pass.unusable", reason=getattr(error, "code", type(error).__name__))


def stored_end(state_dir: Path) -> int | None:
    """Return the time at which the stored passes end, in epoch seconds, or None if there are none. Nothing is verified.

    Raises OSError, FormatError, VerificationError.
    """
    try:
        message = (state_dir / PASS_FILE).read_bytes()
    except FileNotFoundError:
        return None
    bodies = [statement.parse(signed).read(KIND) for signed in uplink.parse_passes(message).statements]
    return min(EdgePass.parse(body).not_after for body in bodies)


def _load_or_make(path: Path) -> tuple[bytes, bytes]:
    try:
        private = path.read_bytes()
    except FileNotFoundError:
        private = crypto.generate("P-256")[0]
        try:
            files.replace(path, private, durable=True)
        except OSError as error:
            raise StorageError("link.key", f"cannot write {path}: {error.strerror}. Check state_dir.") from error
    except OSError as error:
        raise StorageError("link.key", f"cannot read {path}: {error.strerror}. Check its permissions.") from error
    try:
        if len(private) != 32:
            raise VerificationError("crypto.key")
        return private, crypto.public("P-256", private)
    except VerificationError:
        raise StorageError(
            "link.key",
            f"{path} does not contain a key. Delete it, start again, and ask the province to admit the new key.",
        ) from None
