"""The waits between attempts grow up to a limit. Half of each wait is random."""

from edge_agent.backoff import Backoff


def test_waits_double_up_to_their_limit_with_jitter() -> None:
    backoff = Backoff(first=1, limit=60)
    for failures, ceiling in ((1, 1), (2, 2), (5, 16), (7, 60), (10_000, 60)):
        waits = {backoff.wait(failures) for _ in range(50)}
        assert len(waits) > 25
        assert ceiling / 2 <= min(waits) <= max(waits) <= ceiling
