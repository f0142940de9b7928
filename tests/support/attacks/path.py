"""Attacks on the path from the DS certificate to an IACA."""

from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from protocol.x509 import Certificate
from tests.support.attacks.building import (
    ANY,
    BELOW_INTERMEDIATE,
    CLIENT_AUTH,
    DAY,
    PATHLEN_1,
    PID,
    Build,
    below,
    bringing,
    drop,
    one,
    put,
    through,
    under,
)
from tests.support.credential import (
    DS,
    IACA,
    INTERMEDIATE,
    NOW,
    Authority,
    Case,
    Credential,
    key_usage,
    name,
    present,
)

IACA_DER = IACA.certificate(IACA)


def _unrelated_root() -> Case:
    other = Authority(name("Utopia other IACA"))
    return present(roots=[(other.certificate(other), None)])


def _namesake_root() -> Case:
    namesake = replace(IACA, key_name="namesake")
    return present(roots=[(namesake.certificate(namesake), None)])


def _own_root_in_x5chain() -> Case:
    mallory = Authority(name("Mallory IACA"))
    ds = replace(DS, authority_key_identifier=None)
    chain = [ds.certificate(mallory), mallory.certificate(mallory)]
    return present(Credential(ds=ds, change_issuer_auth=put(1, 33, chain)), roots=[(IACA.certificate(IACA), None)])


def _lookalike_root() -> Case:
    """A false root signed the DS. This root has the trusted root's name and key identifier, and is in the x5chain."""
    mallory = replace(IACA, key_name="mallory")
    chain = [DS.certificate(mallory), mallory.certificate(mallory)]
    return present(Credential(change_issuer_auth=put(1, 33, chain)), roots=[(IACA_DER, None)])


def _root_signed_anew() -> bytes:
    """Return the certificate of the trusted root with a different signature. All signed contents are the same."""
    changed = IACA.certificate(replace(IACA, key_name="mallory"))
    assert Certificate(changed).tbs == Certificate(IACA_DER).tbs and changed != IACA_DER
    return changed


def _intermediate_that_is_listed() -> Case:
    """A chain with an intermediate under the trusted IACA. The IACA's CRL does not apply to an intermediate."""
    chain = [BELOW_INTERMEDIATE.certificate(INTERMEDIATE), INTERMEDIATE.certificate(PATHLEN_1), IACA_DER]
    return present(Credential(ds=BELOW_INTERMEDIATE, change_issuer_auth=put(1, 33, chain)), roots=[(IACA_DER, None)])


def _forged_ds_certificate() -> Case:
    mallory = replace(IACA, key_name="mallory")
    return present(Credential(ds_certificate=DS.certificate(mallory)))


PATH: dict[str, tuple[str, Build]] = {
    # x5chain and the path
    "no x5chain": ("mdoc.x5chain", one(change_issuer_auth=drop(1, 33))),
    "an empty x5chain": ("mdoc.x5chain", one(change_issuer_auth=put(1, 33, []))),
    "an x5chain of four": (
        "mdoc.x5chain",
        one(change_issuer_auth=put(1, 33, [DS.certificate(IACA)] * 4)),
    ),
    "an x5chain that is text": ("mdoc.x5chain", one(change_issuer_auth=put(1, 33, "certificate"))),
    "an x5chain of numbers": ("mdoc.certificate", one(change_issuer_auth=put(1, 33, [1]))),
    "a DS certificate that is not DER": ("mdoc.certificate", one(ds_certificate=b"\x30\x80\x00\x00")),
    "a DS certificate with bytes after it": ("mdoc.certificate", one(ds_certificate=DS.certificate(IACA) + b"\x00")),
    "a trust anchor brought along": ("mdoc.self_issued", _own_root_in_x5chain),
    "no trust roots": ("mdoc.untrusted", lambda: present(roots=[])),
    "an unrelated trust root": ("mdoc.untrusted", _unrelated_root),
    "a trust root of the same name with another key": ("mdoc.chain_signature", _namesake_root),
    "a DS certificate that the IACA did not sign": ("mdoc.chain_signature", _forged_ds_certificate),
    "a name that is not the IACA's": (
        "mdoc.untrusted",
        one(ds_certificate=DS.certificate(IACA, name("Utopia IACA 2"))),
    ),
    "a lookalike of the trusted root brought along": ("mdoc.self_issued", _lookalike_root),
    "the trusted root with another signature brought along": ("mdoc.self_issued", bringing(_root_signed_anew())),
    "the trusted root cut short brought along": ("mdoc.certificate", bringing(IACA_DER[:-1])),
    "the trusted root brought along twice": ("mdoc.self_issued", bringing(IACA_DER, IACA_DER)),
    "the trusted root brought along in front": (
        "mdoc.self_issued",
        one(change_issuer_auth=put(1, 33, [IACA_DER, DS.certificate(IACA)])),
    ),
    "the trusted root alone": ("mdoc.self_issued", one(change_issuer_auth=put(1, 33, [IACA_DER]))),
    "a root brought along that is not trusted here": (
        "mdoc.self_issued",
        bringing(IACA_DER, roots=[(replace(IACA, not_before=NOW - DAY).certificate(IACA), None)]),
    ),
    "an intermediate where the IACA allows one": ("mdoc.chain_intermediate", through(INTERMEDIATE)),
    "an intermediate and the trusted root": ("mdoc.chain_intermediate", _intermediate_that_is_listed),
    "an expired DS certificate": ("mdoc.chain_validity", under(not_after=NOW - DAY)),
    "a DS certificate of tomorrow": ("mdoc.chain_validity", under(not_before=NOW + DAY)),
    "an expired IACA": ("mdoc.chain_validity", below(not_after=NOW - DAY)),
    "an IACA of tomorrow": ("mdoc.chain_validity", below(not_before=NOW + DAY)),
    "an unknown critical extension in the DS certificate": ("mdoc.chain_critical", under(extra=((ANY, True),))),
    "an unknown critical extension in the IACA": ("mdoc.chain_critical", below(extra=((ANY, True),))),
    "critical name constraints": (
        "mdoc.chain_critical",
        below(extra=((x509.NameConstraints(None, [x509.DNSName("utopia")]), True),)),
    ),
    "an IACA that is no CA": (
        "mdoc.chain_ca",
        below(constraints=x509.BasicConstraints(ca=False, path_length=None)),
    ),
    "an IACA without basic constraints": ("mdoc.chain_ca", below(constraints=None)),
    "an IACA that may not sign certificates": ("mdoc.chain_key_usage", below(usage=key_usage(digital_signature=True))),
    "an IACA without key usage": ("mdoc.chain_key_usage", below(usage=None)),
    "an intermediate below an IACA that allows none": ("mdoc.chain_intermediate", through(INTERMEDIATE, iaca=IACA)),
    "an end entity that issues certificates": (
        "mdoc.chain_intermediate",
        through(replace(INTERMEDIATE, constraints=None, usage=key_usage(digital_signature=True))),
    ),
    "an IACA with entries for other types alone": (
        "mdoc.root_doctype",
        lambda: present(roots=[(IACA_DER, [PID]), (IACA_DER, ["org.iso.23220.photoid.1"])]),
    ),
    "key identifiers that differ": ("mdoc.chain_key_identifier", under(authority_key_identifier=b"someone else")),
    "a DS certificate that may not sign": ("mdoc.ds_key_usage", under(usage=key_usage(key_cert_sign=True))),
    "a DS certificate without key usage": ("mdoc.ds_key_usage", under(usage=None)),
    "a CA's certificate as DS certificate": (
        "mdoc.ds_key_usage",
        under(constraints=x509.BasicConstraints(ca=True, path_length=0)),
    ),
    "a DS certificate without extended key usage": ("mdoc.ds_extended_key_usage", under(purposes=())),
    "a TLS client certificate as DS certificate": ("mdoc.ds_extended_key_usage", under(purposes=(CLIENT_AUTH,))),
    "a DS certificate of another country": ("mdoc.chain_country", under(subject=name("Utopia DS", "XX"))),
    "a DS certificate without a country": ("mdoc.chain_country", under(subject=name("Utopia DS", None))),
    "an IACA without a country": ("mdoc.chain_country", below(subject=name("Utopia IACA", None))),
    "a country that is no code": (
        "mdoc.chain_country",
        lambda: present(
            Credential(iaca=replace(IACA, subject=name("I", "U1")), ds=replace(DS, subject=name("D", "U1")))
        ),
    ),
    "a DS certificate without the state of its IACA": (
        "mdoc.chain_state",
        below(subject=name("Utopia IACA", "UT", "UT-1")),
    ),
    "a DS certificate of another state": (
        "mdoc.chain_state",
        lambda: present(
            Credential(
                iaca=replace(IACA, subject=name("Utopia IACA", "UT", "UT-1")),
                ds=replace(DS, subject=name("Utopia DS", "UT", "UT-2")),
            )
        ),
    ),
    "a DS key on a Brainpool curve": ("mdoc.chain_key", under(curve="brainpoolP256r1")),
    "an IACA key on a Brainpool curve": ("mdoc.chain_key", below(curve="brainpoolP256r1")),
    "a path signed with SHA-224": ("mdoc.chain_signature", below(hash_algorithm=hashes.SHA224())),
}
