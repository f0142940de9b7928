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


class TrustRules:
    """Parsed rules.

    `suites` are the suites of algorithms that documents may use. `max_age` maps each of AGES to a number of seconds. A
    list is fresh for this time after its issue, unless the list itself expires earlier. `stale` is the rule for
    documents whose list may be too old. ACCEPT accepts such documents. REFUSE_NEW refuses a check-in with them, but
    still admits guests who have already checked in. REFUSE_ALL lets nobody in with such a document. `unlisted` is the
    rule for a document that refers to a list outside the trust list. ACCEPT accepts such a document. REFUSE refuses a
    check-in with it.
    """

    def __init__(self, item: "dict[str, Any]") -> None:
        """`item` must satisfy `is_rules`."""
        self.suites: "list[str]" = item["suites"]
        self.max_age: "dict[str, int]" = item["max_age_seconds"]
        self.stale: str = item["stale"]
        self.unlisted: str = item["unlisted"]


def is_rules(value: "Any") -> bool:
    """Does `value` have the form of the member `trust`?"""
    if not isinstance(value, dict) or set(value) != {"suites", "max_age_seconds", "stale", "unlisted"}:
        return False
    suites, ages = value["suites"], value["max_age_seconds"]
    if not statement.is_list(suites, 1, len(SUITES), statement.is_choice, *SUITES):
        return False
    if len(set(suites)) != len(suites) or not isinstance(ages, dict) or set(ages) != set(AGES):
        return False
    if not all(statement.is_positive(age) for age in ages.values()):
        return False
    return value["stale"] in (ACCEPT, REFUSE_NEW, REFUSE_ALL) and value["unlisted"] in (ACCEPT, REFUSE)
