"""Notices that `province_public_key` is probably the wrong key, and says so once."""

from typing import Final

from edge_agent import log

ENOUGH: Final = 3
"""So many messages with bad signatures, and no good one, are a sign of a wrong key. Anyone who can publish at the
broker can send one bad signature, so one is not enough."""
_SIGNATURE: Final = "cose.signature"


class KeyDoubt:
    """Counts statements with a bad signature until the first good one."""

    def __init__(self) -> None:
        self._bad = 0
        self._settled = False

    def good(self) -> None:
        """Note that the key has verified a statement. So the key is right."""
        self._settled = True

    def bad(self, code: str) -> None:
        """Note that statements of one message were refused with this code."""
        if code != _SIGNATURE or self._settled:
            return
        self._bad += 1
        if self._bad == ENOUGH:
            self._settled = True
            log.event("province.other_key", code=code, messages=ENOUGH)
