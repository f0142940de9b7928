"""A table that breaks every rule of a response once: {claim: (expected code, how to break the rule)}.

Both runtimes are tested with the same table, and must give the same answers. Each claim says what an attacker, a
careless issuer or a broken wallet did. `GOOD` holds similar cases that must be accepted.
"""

from tests.support.attacks.building import Build
from tests.support.attacks.device import DEVICE
from tests.support.attacks.issuer import ISSUER
from tests.support.attacks.neighbours import GOOD
from tests.support.attacks.path import PATH
from tests.support.attacks.whole import WHOLE

REJECTED: dict[str, tuple[str, Build]] = {**WHOLE, **PATH, **ISSUER, **DEVICE}

__all__ = ["GOOD", "REJECTED"]
