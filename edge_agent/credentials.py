"""What this edge proves itself to locks with: a key made here, and the province's pass for it.

The key never leaves the machine. The pass comes down over MQTT, or an installer puts it into the state directory; it is
public, and worth nothing without the key.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

from edge_agent import files, log
from protocol import crypto_cpython as crypto
from protocol import statement
from protocol.edge_pass import KIND, EdgePass
from protocol.errors import FormatError, StorageError, VerificationError

KEY_FILE: Final = "link.key"
PASS_FILE: Final = "edge.pass"  # noqa: S105  no password


class Credentials:
    """Key and pass in `state_dir`; the key is made (mode 0600) the first time.

    `province_public` is the province's key, or None in an experiment without it: then a pass is taken by its form,
    kept in memory only, and locks judge it. Raises StorageError `link.key` for a key file that cannot be used, and when
    none can be written.
    """

    def __init__(self, state_dir: Path, province_public: bytes | None) -> None:
        self._path = state_dir / PASS_FILE
        self._province_public = province_public
        self.static = _load_or_make(state_dir / KEY_FILE)
        """Private scalar and public point."""
        self.edge_pass: bytes | None = None
        """The pass as the province signed it; None while there is none."""
        self.available = asyncio.Event()
        """Set once there is a pass."""
        self.refused = False
        """Has a lock refused the pass that we have? A newer one should be asked for."""
        self._form: EdgePass | None = None
        self._restore()

    @property
    def public(self) -> bytes:
        """The key that a pass must name, a 65-byte point."""
        return self.static[1]

    @property
    def issued_at(self) -> int:
        """When the pass was issued, epoch seconds; 0 without one."""
        return 0 if self._form is None else self._form.issued_at

    def admits(self, lock_id: bytes) -> bool:
        """May this edge serve that lock? Yes without a list in the pass: what it signs is the province's to judge."""
        return self._form is not None and self._form.admits(lock_id)

    def take(self, signed: bytes) -> bool:
        """Take a pass and keep it; False if one as new is here. Raises FormatError, VerificationError."""
        form = self._read(signed)
        if self._form is not None and form.issued_at <= self._form.issued_at:
            return False
        self._hold(form, signed)
        if self._province_public is None:
            # What nobody may have signed must not stand in the way of a genuine one at the next start.
            return True
        try:
            files.replace(self._path, signed, durable=True)
        except OSError as error:
            # It serves until the next start, and then the province sends it again.
            log.warning("pass.not_stored", reason=error.strerror or type(error).__name__)
        return True

    def _hold(self, form: EdgePass, signed: bytes) -> None:
        self._form, self.edge_pass, self.refused = form, signed, False
        self.available.set()

    def _read(self, signed: bytes) -> EdgePass:
        body: dict[Any, Any]
        if self._province_public is None:
            body = statement.read(signed, KIND)
        else:
            body = statement.open(crypto, signed, KIND, self._province_public)
        form = EdgePass.parse(body)
        if form.edge_public != self.public:
            raise VerificationError("edge-pass.key", "the pass is for another key than this edge has")
        return form

    def _restore(self) -> None:
        if self._province_public is None:
            return
        with contextlib.suppress(FileNotFoundError):
            try:
                signed = self._path.read_bytes()
                self._hold(self._read(signed), signed)
            except FileNotFoundError:
                raise
            except (OSError, FormatError, VerificationError) as error:
                # Not worth stopping for: the province is asked for another.
                log.warning("pass.unusable", reason=getattr(error, "code", type(error).__name__))


def _load_or_make(path: Path) -> tuple[bytes, bytes]:
    try:
        private = path.read_bytes()
    except FileNotFoundError:
        private = crypto.generate("P-256")[0]
        try:
            files.replace(path, private, durable=True)
        except OSError as error:
            raise StorageError("link.key", f"cannot write {path}: {error.strerror}; check state_dir") from error
    except OSError as error:
        raise StorageError("link.key", f"cannot read {path}: {error.strerror}; check its permissions") from error
    try:
        if len(private) != 32:
            raise VerificationError("crypto.key")
        return private, crypto.public("P-256", private)
    except VerificationError:
        raise StorageError(
            "link.key", f"{path} does not hold a key; remove it, start again, and have the new key admitted"
        ) from None
