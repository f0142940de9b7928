"""Checks, before any import, that the packages needed by the simulator are installed."""

from edge_agent.environment import PACKAGES, lacking

_PACKAGES = (*PACKAGES, "bumble", "iotcore", "pymdoccbor", "rich", "segno")


def incomplete(command: str) -> bool:
    """Return whether a package needed by `command` is missing. If so, a text on stderr says what is missing and what to
    run instead.

    `command` is the part of the command line after `python`.
    """
    return lacking(command, _PACKAGES)
