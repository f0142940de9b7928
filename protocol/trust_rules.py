"""A jurisdiction's rules for issuers and revocation: the member `trust` of a profile (profile.cddl)."""

from protocol import statement
from protocol.crypto import SUITES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACCEPT = "accept"
REFUSE = "refuse"
REFUSE_NEW = "refuse-new"
REFUSE_ALL = "refuse-all"

TRUST_LIST = "trust_list"
CRL = "crl"
STATUS_LIST = "status_list"
AGES = (TRUST_LIST, CRL, STATUS_LIST)


def _is_suites(value: "Any") -> bool:
    return statement.is_list(value, 1, len(SUITES), statement.is_choice, *SUITES) and len(set(value)) == len(value)


def _is_ages(value: "Any") -> bool:
    return isinstance(value, dict) and set(value) == set(AGES) and all(map(statement.is_positive, value.values()))


class TrustRules(statement.Form):
    """The rules.

    `suites` are the suites of algorithms that documents may use. `max_age` maps each of AGES to a number of seconds. A
    list is fresh for this time after its issue, unless the list itself expires earlier. `stale` is the rule for
    documents whose list may be too old. ACCEPT accepts such documents. REFUSE_NEW refuses a check-in with such a
    document, but still admits guests who have already checked in. REFUSE_ALL lets nobody in with such a document.
    `unlisted` is the rule for a document that refers to a list outside the trust list. ACCEPT accepts such a document.
    REFUSE refuses a check-in with such a document.
    """

    CODE = "profile.form"
    VERSION = 0

    max_age: "dict[str, int]" = statement.field("max_age_seconds", _is_ages)
    stale: str = statement.field("stale", statement.is_choice, ACCEPT, REFUSE_NEW, REFUSE_ALL)
    suites: "list[str]" = statement.field("suites", _is_suites)
    unlisted: str = statement.field("unlisted", statement.is_choice, ACCEPT, REFUSE)
