"""What the simulator needs beyond the standard library; looked for before anything is imported that needs it."""

from edge_agent.environment import PACKAGES, lacking

_PACKAGES = (*PACKAGES, "bumble", "iotcore", "pymdoccbor", "rich", "segno")


def incomplete(command: str) -> bool:
    """Is anything missing that `command` (what follows `python`) needs? Says so, and what to run instead, on stderr."""
    return lacking(command, _PACKAGES)
