"""Scenarios of issuers and documents that are no longer trusted, and of revocation lists that are too old."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import trust
from protocol.trust import Issuer, ListEntry
from sim import issuer, pki, revocation, sm_issuer
from sim.bookings import DAY
from sim.scenarios.story import Script, story
from sim.site import Site

_CRL = 1
_STATUS = 2
_URI = "https://iaca.example/status/1"


def _crl(site: Site, *revoked: pki.Identity, days: int = 7) -> bytes:
    """Make a new CRL of the Swedish IACA that revokes the document signers `revoked`."""
    now = site.now() - 5  # it was issued a little earlier, because the lock does not know the time exactly
    serials = [signer.certificate.serial_number for signer in revoked]
    return revocation.crl(site.iacas["SE"], serials, now, now + days * DAY)


@story(
    "revoked-issuer",
    "A document signer is revoked, so its documents no longer open; another signer's do. Then the issuer is removed.",
)
async def _revoked_issuer(script: Script) -> None:
    site, door = script.site, script.door
    province = site.province
    bad, good = site.signers["SE"], pki.document_signer(site.iacas["SE"])
    first, second, third = site.visitor(), site.visitor(signer=bad), site.visitor(signer=good)
    await door.bookings.book(first, second, third)
    await door.bookings.publish(lambda: province.trust(site.issuers(), [ListEntry(_CRL, trust.CRL, 0)]), "trust-list")
    clean = await door.bookings.publish(lambda: province.publish_list(_CRL, _crl(site)), "revocation-list")
    script.let_in(await door.tap(first), "while nothing is revoked the first guest checks in")
    await door.bookings.publish(lambda: province.publish_list(_CRL, _crl(site, bad)), "revocation-list")
    script.refused(await door.tap(second), "a guest whose document signer was revoked is refused", "mdoc.ds_revoked")
    script.refused(
        await door.tap(first),
        "the first guest is refused too, because anyone may now forge such documents",
        "mdoc.ds_revoked",
    )
    script.let_in(await door.tap(third), "a guest of another signer of the same issuer checks in")
    code = await door.bookings.bring(clean)
    script.promise("the older CRL is refused when it comes again ({code})", code == "revocation-list.serial", code=code)
    forged = revocation.crl(pki.authority("TEST IACA SE", "SE"), [], site.now() - 5, site.now() + DAY)
    code = await door.bookings.bring(province.registry.publish_list(_CRL, forged))
    script.promise("a CRL from another CA with the same name is refused ({code})", code == "crl.issuer", code=code)
    await door.lock.kill()
    await door.boot()
    script.refused(await door.tap(second), "the guest is still refused after a power cut", "mdoc.ds_revoked")
    await door.bookings.publish(lambda: province.trust(site.issuers()[1:]), "trust-list")
    # The door does not ask for documents that have no trusted issuer, so the phone shows no document.
    script.refused(await door.tap(third), "a guest whose issuer left the trust list is refused", "mdoc.no_documents")
    await door.drain()
    script.promise("the strike moved twice", door.findings.openings() == 2)


@story("revoked-document", "A status list revokes one document and suspends another; a third stays valid.")
async def _revoked_document(script: Script) -> None:
    site, door = script.site, script.door
    province = site.province
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    lists = [ListEntry(_STATUS, trust.STATUS_LIST, 0, _URI, {1: 2, -1: 1, -2: point[1:33], -3: point[33:]})]

    # The list has half a million documents, and a thousand of them are revoked. The list fills half of a statement.
    others = dict.fromkeys(site.random.sample(range(100, 499_000), 1000), 1)

    def token(statuses: dict[int, int], signer: ec.EllipticCurvePrivateKey = key) -> bytes:
        known = {**others, 40_000: 0, **statuses}
        return revocation.status_token(signer, _URI, known, site.now() - 5, size=500_000, bits=2)

    guests = [site.visitor(revocation=revocation.reference(_URI, index)) for index in (7, 40_000, 499_999)]
    first, second, third = guests
    await door.bookings.book(*guests)
    await door.bookings.publish(lambda: province.trust(site.issuers(), lists), "trust-list")
    script.refused(await door.tap(first), "before its status list has come, a document is refused", "status-list.stale")
    await door.bookings.publish(lambda: province.publish_list(_STATUS, token({})), "revocation-list")
    script.let_in(await door.tap(first), "with the list, the first guest checks in")
    await door.bookings.publish(lambda: province.publish_list(_STATUS, token({7: 1, 40_000: 2})), "revocation-list")
    script.refused(await door.tap(first), "a revoked document is refused", "mdoc.revoked")
    script.refused(await door.tap(second), "a suspended document is refused", "mdoc.suspended")
    script.let_in(await door.tap(third), "the guest whose document is valid checks in")
    stranger = ec.generate_private_key(ec.SECP256R1())
    code = await door.bookings.bring(province.registry.publish_list(_STATUS, token({}, stranger)))
    script.promise(
        "a list signed by a key that is not in the trust list is refused ({code})",
        code == "status-list.signature",
        code=code,
    )
    await door.bookings.publish(lambda: province.publish_list(_STATUS, token({7: 1})), "revocation-list")
    script.let_in(await door.tap(second), "when the document is no longer suspended, the second guest checks in")
    await door.drain()
    script.promise("the strike moved three times", door.findings.openings() == 3)


@story("stale-trust", "An issuer's CRL expires, and its documents check nobody in until a new CRL comes.")
async def _stale_trust(script: Script) -> None:
    site, door = script.site, script.door
    province = site.province
    first, second = site.visitor(), site.visitor()
    resident = site.visitor(issuer.RESIDENT_ID)
    await door.bookings.book(first, second, resident, ends=20 * DAY)
    await door.bookings.publish(lambda: province.trust(site.issuers(), [ListEntry(_CRL, trust.CRL, 0)]), "trust-list")
    await door.bookings.publish(lambda: province.publish_list(_CRL, _crl(site, days=3)), "revocation-list")
    script.let_in(await door.tap(first), "with a fresh CRL the first guest checks in")
    await site.pass_time(4 * DAY)
    script.refused(await door.tap(second), "four days later a new guest is refused", "crl.stale")
    script.let_in(await door.tap(first), "the registered guest gets in")
    script.let_in(await door.tap(resident), "a guest of an issuer without a CRL checks in")
    late = revocation.crl(site.iacas["SE"], [], site.now() - 2 * DAY, site.now() - DAY)
    code = await door.bookings.bring(province.registry.publish_list(_CRL, late))
    script.promise("an expired CRL is refused ({code})", code == "revocation-list.expired", code=code)
    await door.bookings.publish(lambda: province.publish_list(_CRL, _crl(site)), "revocation-list")
    script.let_in(await door.tap(second), "with the new CRL the second guest checks in")
    await door.drain()
    script.promise("the strike moved four times", door.findings.openings() == 4)


@story(
    "national-suite",
    "A resident's document with SM2 and SM3 opens the door. One from an issuer that is not trusted does not.",
)
async def _national_suite(script: Script) -> None:
    site, door = script.site, script.door
    iaca = sm_issuer.authority("IACA SM")
    guest = site.national_visitor(sm_issuer.document_signer(iaca))
    await door.bookings.book(guest)
    script.refused(
        await door.tap(guest), "a document from an issuer that is not trusted yet is refused", "mdoc.untrusted"
    )
    trusted = [*site.issuers(), Issuer(iaca.der, [issuer.RESIDENT_ID])]
    await door.bookings.publish(lambda: site.province.trust(trusted), "trust-list")
    script.let_in(await door.tap(guest), "once the issuer is trusted, the guest checks in")
    namesake = site.national_visitor(sm_issuer.document_signer(sm_issuer.authority("IACA SM")))
    namesake.pretend_to_be(guest.person)
    script.refused(
        await door.tap(namesake),
        "a document from another issuer with the same name is refused",
        "mdoc.chain_key_identifier",
    )
    script.let_in(await door.tap(guest), "the guest comes back with the same document")
    await door.drain()
    script.promise("the strike moved twice", door.findings.openings() == 2)
