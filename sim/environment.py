"""Checks that the packages which the simulator needs are installed, before anything imports them."""

from edge_agent.environment import PACKAGES, lacking

_PACKAGES = (*PACKAGES, "bumble", "iotcore", "pymdoccbor", "rich", "segno")


def incomplete(command: str) -> bool:
    """Is a package missing that `command` needs? Then stderr says so, with the command to run instead.

    `command` is what follows `python`.
    """
    return lacking(command, _PACKAGES)
