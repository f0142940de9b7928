"""The serial console: one line an event, `<ms> <event> key=value …`, for installers and for the simulator's timeline.

Never personal data, keys or bytes from a guest: events, codes, counts and durations only.
"""

from firmware import ticks


def log(event: str, **facts: object) -> None:
    """Print one event. Values are numbers or short codes."""
    line = "%d %s" % (ticks.now(), event)
    for name in sorted(facts):
        line += " %s=%s" % (name, facts[name])
    print(line)


def advise(message: str) -> None:
    """Print what an installer can mend, a sentence of a ConfigError; nothing if there is none."""
    if message:
        print(message)
