"""Which signals end a child, and when: a pure rule.

Postgres is stopped by SIGINT (fast shutdown; SIGTERM would wait for its clients), then SIGQUIT (at once), then SIGKILL;
everything else by SIGTERM, then SIGKILL. SIGCONT comes first, or a stopped process would never hear the rest.
"""

from __future__ import annotations

from signal import SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGTERM

__all__ = ["CRASH_GRACE_S", "Step", "escalation"]

Step = tuple[float, int]
"""When (seconds after the request) and which signal."""

CRASH_GRACE_S = 0.3
"""How long children get when the conductor is gone: nobody waits for their last words any more."""

_QUIT_S = 0.2


def escalation(stop_signal: str, grace_s: float) -> list[Step]:
    """Steps that end a child whose stop signal is `INT` or `TERM`; the last one is always SIGKILL."""
    if stop_signal == "INT":
        return [(0.0, SIGCONT), (0.0, SIGINT), (grace_s, SIGQUIT), (grace_s + _QUIT_S, SIGKILL)]
    return [(0.0, SIGCONT), (0.0, SIGTERM), (grace_s, SIGKILL)]
