"""The issuers' revocation lists. Couriers bring the lists, the lock keeps them in flash, and every tap consults them.

The file of a list has two signatures, the province's and the issuer's. The lock checks both signatures when the list
arrives. At each boot, and when the trust list changes, it checks the issuer's signature again. For the province's
signature, a boot has the tags of verified.py. Each list also has an extract in another file, which a tap reads
(revocation_extract.py). The lock has in memory only the facts that decide whether a list applies. Files are never
deleted. Otherwise an older list could replace a list that was removed from the trust list and later added again.
"""

from firmware.trust import revocation_extract
from protocol import const, cose, revocation_list, statement, trust, trust_rules
from protocol.crl import CRL
from protocol.errors import FormatError, RefusedError, VerificationError
from protocol.revocation_list import RevocationList
from protocol.status_token import INVALID, SUSPENDED, VALID, StatusToken, entry_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from firmware.memory.store import Store
    from firmware.trust.verified import Verified
    from protocol.crypto import Crypto
    from protocol.mdoc.chain import TrustRoot
    from protocol.mdoc.status import StatusReference
    from protocol.trust import ListEntry, TrustList
    from protocol.trust_rules import TrustRules

_PLACE = const(2)
"""List 1 has its tag at the place after this one, because the tags of three other statements come first
(firmware/trust/verified.py)."""


class _ListInUse:
    """A list in use. `entry` is the list's entry in the trust list. `issued`, `begins` and `expires` are the times when
    the list was issued, becomes valid and expires. In a status list, `bits` is the number of bits for each document."""

    def __init__(self, entry: "ListEntry", issued: int, begins: int, expires: int, bits: int = 0) -> None:
        self.entry = entry
        self.issued = issued
        self.begins = begins
        self.expires = expires
        self.bits = bits


class Revocation:
    """The revocation lists of this lock. A list is in use only if it is named in the trust list that was passed to the
    latest `adopt`."""

    def __init__(self, crypto: "Crypto", store: "Store", verified: "Verified") -> None:
        self._crypto = crypto
        self._store = store
        self._verified = verified
        self._entries: "list[ListEntry]" = []
        self._roots: "list[TrustRoot]" = []
        self._in_use: "dict[int, _ListInUse]" = {}
        self._serials: "dict[int, int]" = {}
        for number in range(1, trust.MAX_LISTS + 1):
            raw = store.read(revocation_list.name(number))
            if raw is not None:
                known = verified.knows(_PLACE + number, raw)
                self._serials[number] = self._open(statement.parse(raw), known).serial
                if not known:
                    verified.keep(_PLACE + number, raw)

    def _open(self, signed: statement.Statement, known: bool) -> RevocationList:
        return RevocationList.parse(self._verified.body(signed, revocation_list.KIND, known), known)

    def adopt(self, trusted: "TrustList", roots: "list[TrustRoot]") -> None:
        """From now on, use the trust list `trusted`, whose issuers are `roots`. Lists without an entry in `trusted`,
        and lists that do not match their entry, are no longer used."""
        self._entries, self._roots = trusted.lists, roots
        self._in_use = {}
        for entry in trusted.lists:
            if entry.number in self._serials:
                data = self._store.read(revocation_list.name(entry.number)) or b""
                try:
                    content = RevocationList.parse(statement.parse(data).read(revocation_list.KIND)).content
                    used, parsed = self._judge(entry, content)
                    self._lay_down(entry.number, parsed, data)
                except (FormatError, VerificationError):
                    continue  # the list's signer is no longer in the trust list; the province will send another list
                self._in_use[entry.number] = used

    def _judge(self, entry: "ListEntry", content: bytes) -> "tuple[_ListInUse, CRL | StatusToken]":
        """Verify that `content` is the list that `entry` names. Raises FormatError if `content` is malformed, and
        VerificationError if it is another list or a signature is wrong."""
        if entry.kind == trust.CRL:
            crl = CRL(content)
            refusal = None
            for root in self._roots:
                if self._applies(entry, root):
                    try:
                        # One of the certificates for the key must match. A renewed certificate may spell the name of
                        # the issuer differently.
                        crl.verify(self._crypto, root.certificate)
                        break
                    except VerificationError as error:
                        refusal = refusal or error
            else:
                assert refusal is not None  # the entry's own issuer is among the roots
                raise refusal
            return _ListInUse(entry, crl.this_update, crl.this_update, crl.next_update), crl
        token = StatusToken(content)
        if (token.bits != 0) != (entry.kind == trust.STATUS_LIST):
            raise VerificationError("status-list.kind", "the trust list names a list of another kind")
        token.verify(self._crypto, cose.parse_key(entry.key), entry.uri)
        begins = max(token.issued, token.not_before or 0)
        return _ListInUse(entry, token.issued, begins, token.expires, token.bits), token

    def _applies(self, entry: "ListEntry", root: "TrustRoot", status: "StatusReference | None" = None) -> bool:
        """Return whether the list of `entry` applies to a certificate that `root` signed, or to a document with the
        reference `status`.

        Issuers are compared by key, because one IACA may have several entries in the trust list: for a renewed
        certificate, or for each document type. All entries of an IACA share the lists of the IACA.
        """
        named, own = self._roots[entry.issuer].certificate, root.certificate
        if named.curve != own.curve or named.public != own.public:
            return False
        if status is None or entry.kind == trust.CRL:
            return True
        return entry.uri == (status.list_uri if entry.kind == trust.STATUS_LIST else status.identifier_uri)

    def _lay_down(self, number: int, parsed: "CRL | StatusToken", data: bytes) -> None:
        """Write the extract of the list in the statement `data`, unless the extract is in flash already.

        Raises FormatError if the list is malformed, or if a status list is too long or too dense.
        """
        name = _extract_name(number)
        if revocation_extract.is_of(self._store, name, data):
            return
        if isinstance(parsed, CRL):
            parts: "Iterator[bytes | bytearray]" = revocation_extract.extract_of_names(data, parsed.serials())
        elif parsed.bits:
            parts = revocation_extract.extract_of_status(data, parsed.compressed)
        else:
            parts = revocation_extract.extract_of_names(data, parsed.identifiers)
        self._store.write_parts(name, parts)

    def accept(self, signed: statement.Statement, now: "tuple[int, int | None]") -> None:
        """Verify and take a statement of kind `revocation-list`. The current time lies in the interval `now`.

        Raises FormatError if the statement or its list is malformed. Raises VerificationError if the statement or its
        list does not verify, `revocation-list.early` if the list is not yet valid, and `revocation-list.expired` if it
        has expired. Raises RefusedError `revocation-list.serial` if the statement is not newer than the statement in
        flash, `revocation-list.unknown` if the trust list does not name its number, and `revocation-list.older` if the
        issuer made the new list before the list in use.
        """
        form, data = self._open(signed, False), signed.data
        number, serial = form.number, form.serial
        name = revocation_list.name(number)
        if serial <= self._serials.get(number, 0):
            if serial == self._serials[number] and data == self._store.read(name):
                return
            raise RefusedError("revocation-list.serial", "the lock has a newer one")
        entries = [entry for entry in self._entries if entry.number == number]
        if not entries:
            raise RefusedError("revocation-list.unknown", "the trust list names no list of this number")
        judged, parsed = self._judge(entries[0], form.content)
        del form  # make room for the extract; `parsed` has all that is needed
        used = self._in_use.get(number)
        if used is not None and judged.issued < used.issued:
            raise RefusedError("revocation-list.older", "made before the list in use")
        if now[1] is not None and judged.begins > now[1]:
            raise VerificationError("revocation-list.early", "it was made or becomes valid in the future")
        if judged.expires < now[0]:
            raise VerificationError("revocation-list.expired", "the list has expired")
        self._lay_down(number, parsed, data)
        self._in_use.pop(number, None)  # if flash fails between the two files, no list is in use
        self._store.write(name, data)
        self._serials[number] = serial
        self._in_use[number] = judged
        self._verified.keep(_PLACE + number, data)

    def serials(self) -> "dict[str, int]":
        """Return the serial of each list in flash, by the list's name."""
        return {revocation_list.name(number): serial for number, serial in self._serials.items()}

    # --- what a tap asks ---------------------------------------------------------------------------------------------

    def check(self, root: "TrustRoot", serial: bytes, status: "StatusReference") -> None:
        """Check that no list in use revokes the certificate or the document. The certificate has the number `serial`
        and was signed by `root`. `status` belongs to the document. Stale lists are used too, because a revoked document
        stays revoked.

        Raises VerificationError `mdoc.ds_revoked` if the certificate is revoked, `mdoc.revoked` if the document is
        revoked, `mdoc.suspended` if it is suspended, `mdoc.status_unknown` if its status has no defined meaning, and
        `mdoc.status_index` if the status list has no entry for it.
        """
        for number, used in self._in_use.items():
            entry = used.entry
            if not self._applies(entry, root, status):
                continue
            file = _extract_name(number)
            if entry.kind == trust.CRL:
                if revocation_extract.names(self._store, file, serial):
                    raise VerificationError("mdoc.ds_revoked", "the issuer has revoked the DS certificate")
            elif entry.kind == trust.IDENTIFIER_LIST:
                if revocation_extract.names(self._store, file, status.identifier):
                    raise VerificationError("mdoc.revoked", "the issuer has revoked the document")
            else:
                self._check_entry(file, used.bits, status.index)

    def _check_entry(self, file: str, bits: int, index: int) -> None:
        offset, shift = entry_at(index, bits)
        byte = revocation_extract.byte_of_status(self._store, file, offset)
        if byte is None:
            raise VerificationError("mdoc.status_index", "the status list has no entry with this index")
        found = byte >> shift & (1 << bits) - 1
        if found == INVALID:
            raise VerificationError("mdoc.revoked", "the issuer has revoked the document")
        if found == SUSPENDED:
            raise VerificationError("mdoc.suspended", "the issuer has suspended the document")
        if found != VALID:
            raise VerificationError("mdoc.status_unknown", "the specification does not define this status")

    def stale(
        self, root: "TrustRoot", status: "StatusReference", rules: "TrustRules", latest: "int | None"
    ) -> "str | None":
        """Return a code if one of the lists that apply to such a document is missing or may be stale. Return None if
        all these lists are fresh. `latest` is the latest possible current time (None: unknown)."""
        for entry in self._entries:
            if not self._applies(entry, root, status):
                continue
            used = self._in_use.get(entry.number)
            crl = entry.kind == trust.CRL
            age = rules.max_age[trust_rules.CRL if crl else trust_rules.STATUS_LIST]
            if used is None or latest is None or latest > used.expires or latest > used.issued + age:
                return "crl.stale" if crl else "status-list.stale"
        return None

    def unlisted(self, root: "TrustRoot", status: "StatusReference") -> bool:
        """Return whether the document refers to a list that the trust list does not name."""
        named = [entry for entry in self._entries if self._applies(entry, root, status)]
        kinds = [entry.kind for entry in named]
        return (status.list_uri is not None and trust.STATUS_LIST not in kinds) or (
            status.identifier_uri is not None and trust.IDENTIFIER_LIST not in kinds
        )


def _extract_name(number: int) -> str:
    return "revoked." + str(number)
