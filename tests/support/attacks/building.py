"""Small changes to a good credential, its certificates and its presentation, from which the attacks are built."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509

from tests.support.credential import (
    DS,
    IACA,
    MDL_NAME_SPACE,
    Authority,
    Case,
    Credential,
    present,
    seconds,
)

Build = Callable[[], Case]
DAY = timedelta(days=1)
PID = "eu.europa.ec.eudi.pid.1"
PATHLEN_1 = replace(IACA, constraints=x509.BasicConstraints(ca=True, path_length=1))
BELOW_INTERMEDIATE = replace(DS, authority_key_identifier=b"intermediate")


def put(*path: Any) -> Callable[[Any], None]:
    """Return a change function that sets the member at path[:-1] to path[-1]."""

    def change(item: Any) -> None:
        for step in path[:-2]:
            item = item[step]
        item[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Callable[[Any], None]:
    """Return a change function that removes the member at `path`."""

    def change(item: Any) -> None:
        for step in path[:-1]:
            item = item[step]
        del item[path[-1]]

    return change


def one(**settings: Any) -> Build:
    """Return a function that builds a response with one credential. `settings` are the properties of the credential."""
    return lambda: present(Credential(**settings))


def mac(**settings: Any) -> Build:
    return one(method="deviceMac", **settings)


def answer(change: Callable[[Any], None]) -> Build:
    return lambda: present(change_response=change)


def under(**settings: Any) -> Build:
    """Return a function that builds a response. `settings` are the properties of the response's DS certificate."""
    return lambda: present(Credential(ds=replace(DS, **settings)))


def below(**settings: Any) -> Build:
    """Return a function that builds a response. `settings` are the properties of the trusted IACA certificate."""
    return lambda: present(Credential(iaca=replace(IACA, **settings)))


def through(*intermediates: Authority, iaca: Authority = PATHLEN_1, ds: Authority = BELOW_INTERMEDIATE) -> Build:
    return lambda: present(Credential(iaca=iaca, intermediates=intermediates, ds=ds))


def bringing(*certificates: bytes, **settings: Any) -> Build:
    """Return a function that builds a response. The x5chain of the response has the DS certificate first, and then
    `certificates`.
    """
    chain = [DS.certificate(IACA), *certificates]
    return lambda: present(Credential(change_issuer_auth=put(1, 33, chain)), **settings)


def at(earliest: datetime, latest: datetime | None) -> Build:
    return lambda: present(now=(seconds(earliest), None if latest is None else seconds(latest)))


def mso(change: Callable[[Any], None], **settings: Any) -> Build:
    return one(change_mso=change, **settings)


def items(change: Callable[[list[Any]], None]) -> Build:
    """Return a function that builds a response. After signing, `change` edits the list of IssuerSignedItemBytes in the
    response.
    """
    return one(change_document=lambda document: change(document["issuerSigned"]["nameSpaces"][MDL_NAME_SPACE]))


def reopened(item: cbor2.CBORTag, **changes: Any) -> cbor2.CBORTag:
    return cbor2.CBORTag(24, cbor2.dumps({**cbor2.loads(item.value), **changes}))


def authorizing(**authorizations: Any) -> dict[str, Any]:
    return {"change_mso": put("deviceKeyInfo", "keyAuthorizations", authorizations)}


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def scoped(doc_types: list[str]) -> Build:
    return lambda: present(roots=[(IACA.certificate(IACA), doc_types)])


ANY = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
CLIENT_AUTH = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2")
