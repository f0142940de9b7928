"""Issuers and documents that are trusted no longer, and lists that are too old to say."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import trust
from protocol.trust import Issuer, ListEntry
from sim import issuer, pki, revocation, sm_issuer
from sim.bookings import DAY
from sim.scenarios.story import Script, story
from sim.world import World

_CRL = 1
_STATUS = 2
_URI = "https://iaca.example/status/1"


def _crl(world: World, *revoked: pki.Identity, days: int = 7) -> bytes:
    """What the Swedish IACA says now of its document signers."""
    now = world.now() - 5  # to be on the safe side of the lock's doubt
    serials = [signer.certificate.serial_number for signer in revoked]
    return revocation.crl(world.iacas["SE"], serials, now, now + days * DAY)


@story(
    "revoked-issuer",
    "A document signer is revoked: its documents open nothing more, its neighbour's do; then the whole issuer goes.",
)
async def _revoked_issuer(script: Script) -> None:
    world = script.world
    province = world.province
    bad, good = world.signers["SE"], pki.document_signer(world.iacas["SE"])
    first, second, third = world.visitor(), world.visitor(signer=bad), world.visitor(signer=good)
    await world.book(first, second, third)
    await world.publish(lambda: province.trust(world.issuers(), [ListEntry(_CRL, trust.CRL, 0)]), "trust-list")
    clean = await world.publish(lambda: province.publish_list(_CRL, _crl(world)), "revocation-list")
    script.let_in(await world.tap(first), "while nothing is revoked the first guest checks in")
    await world.publish(lambda: province.publish_list(_CRL, _crl(world, bad)), "revocation-list")
    script.refused(await world.tap(second), "a guest whose document signer was revoked is refused", "mdoc.ds_revoked")
    script.refused(
        await world.tap(first), "the first guest is refused, with a document that anyone may forge", "mdoc.ds_revoked"
    )
    script.let_in(await world.tap(third), "a guest of another signer of the same issuer checks in")
    code = await world.bring(clean)
    script.promise(f"the older CRL, carried once more, is refused ({code})", code == "revocation-list.serial")
    forged = revocation.crl(pki.authority("TEST IACA SE", "SE"), [], world.now() - 5, world.now() + DAY)
    code = await world.bring(province.registry.publish_list(_CRL, forged))
    script.promise(f"a CRL by another CA of the same name is refused ({code})", code == "crl.issuer")
    await world.lock.kill()
    await world.boot()
    script.refused(await world.tap(second), "and is refused after the lock was without power", "mdoc.ds_revoked")
    await world.publish(lambda: province.trust(world.issuers()[1:]), "trust-list")
    # The door asks for no document that nobody is trusted to issue, so the phone has none to show.
    script.refused(await world.tap(third), "a guest whose issuer left the trust list is refused", "mdoc.no_documents")
    await world.drain()
    script.promise("the strike moved twice", world.openings() == 2)


@story(
    "revoked-document", "One document is revoked by its issuer's status list, another suspended; a third is neither."
)
async def _revoked_document(script: Script) -> None:
    world = script.world
    province = world.province
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    lists = [ListEntry(_STATUS, trust.STATUS_LIST, 0, _URI, {1: 2, -1: 1, -2: point[1:33], -3: point[33:]})]

    # Half a million documents, of which a thousand are revoked already: the list fills half a statement.
    others = dict.fromkeys(world.random.sample(range(100, 499_000), 1000), 1)

    def token(statuses: dict[int, int], signer: ec.EllipticCurvePrivateKey = key) -> bytes:
        known = {**others, 40_000: 0, **statuses}
        return revocation.status_token(signer, _URI, known, world.now() - 5, size=500_000, bits=2)

    guests = [world.visitor(revocation=revocation.reference(_URI, index)) for index in (7, 40_000, 499_999)]
    first, second, third = guests
    await world.book(*guests)
    await world.publish(lambda: province.trust(world.issuers(), lists), "trust-list")
    script.refused(
        await world.tap(first), "before the list that would revoke it came, a document is refused", "status-list.stale"
    )
    await world.publish(lambda: province.publish_list(_STATUS, token({})), "revocation-list")
    script.let_in(await world.tap(first), "once it is there the first guest checks in")
    await world.publish(lambda: province.publish_list(_STATUS, token({7: 1, 40_000: 2})), "revocation-list")
    script.refused(await world.tap(first), "a revoked document is refused", "mdoc.revoked")
    script.refused(await world.tap(second), "a suspended document is refused", "mdoc.suspended")
    script.let_in(await world.tap(third), "the neighbour that the list calls valid checks in")
    stranger = ec.generate_private_key(ec.SECP256R1())
    code = await world.bring(province.registry.publish_list(_STATUS, token({}, stranger)))
    script.promise(
        f"a list by a key that the trust list does not name is refused ({code})", code == "status-list.signature"
    )
    await world.publish(lambda: province.publish_list(_STATUS, token({7: 1})), "revocation-list")
    script.let_in(await world.tap(second), "no longer suspended, the second guest checks in")
    await world.drain()
    script.promise("the strike moved three times", world.openings() == 3)


@story("stale-trust", "An issuer's CRL runs out and no new one comes: nobody new by its documents, until one does.")
async def _stale_trust(script: Script) -> None:
    world = script.world
    province = world.province
    first, second = world.visitor(), world.visitor()
    resident = world.visitor(issuer.RESIDENT_ID)
    await world.book(first, second, resident, ends=20 * DAY)
    await world.publish(lambda: province.trust(world.issuers(), [ListEntry(_CRL, trust.CRL, 0)]), "trust-list")
    await world.publish(lambda: province.publish_list(_CRL, _crl(world, days=3)), "revocation-list")
    script.let_in(await world.tap(first), "with a fresh CRL the first guest checks in")
    await world.pass_time(4 * DAY)
    script.refused(await world.tap(second), "four days later a guest who would check in is refused", "crl.stale")
    script.let_in(await world.tap(first), "the guest who has checked in gets in")
    script.let_in(await world.tap(resident), "a guest of an issuer without a CRL checks in")
    late = revocation.crl(world.iacas["SE"], [], world.now() - 2 * DAY, world.now() - DAY)
    code = await world.bring(province.registry.publish_list(_CRL, late))
    script.promise(f"a CRL that has run out is refused ({code})", code == "revocation-list.expired")
    await world.publish(lambda: province.publish_list(_CRL, _crl(world)), "revocation-list")
    script.let_in(await world.tap(second), "with the new CRL the second guest checks in")
    await world.drain()
    script.promise("the strike moved four times", world.openings() == 4)


@story(
    "national-suite",
    "A resident's document on SM2 and SM3 opens the door; one by a stranger to the trust list does not.",
)
async def _national_suite(script: Script) -> None:
    world = script.world
    iaca = sm_issuer.authority("IACA SM")
    guest = world.national_visitor(sm_issuer.document_signer(iaca))
    await world.book(guest)
    script.refused(
        await world.tap(guest), "a document by an issuer that is not trusted yet is refused", "mdoc.untrusted"
    )
    trusted = [*world.issuers(), Issuer(iaca.der, [issuer.RESIDENT_ID])]
    await world.publish(lambda: world.province.trust(trusted), "trust-list")
    script.let_in(await world.tap(guest), "once it is, the guest checks in")
    namesake = world.national_visitor(sm_issuer.document_signer(sm_issuer.authority("IACA SM")))
    namesake.person = guest.person
    script.refused(
        await world.tap(namesake), "a document by an issuer of that name is refused", "mdoc.chain_key_identifier"
    )
    script.let_in(await world.tap(guest), "the guest comes back with the same document")
    await world.drain()
    script.promise("the strike moved twice", world.openings() == 2)
