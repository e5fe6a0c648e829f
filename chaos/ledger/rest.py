"""Are the stores at rest? Decided from looks at them, with time as an argument: nothing is asked, and nobody sleeps here. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Look", "Rest"]

_MARGIN_S = (
    4.0  # beyond the longest wait that is known: a message may be handed back with a pause of its own, an outbox polls
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a store. `left` is what is under way, a line for each; empty means nothing is.

    `state` differs from the last look's when something moved, and `patience_s` is the longest time in which, as far as the store
    knows, nothing may move although work is left (an ack wait).
    """

    left: tuple[str, ...] = ()
    state: tuple[object, ...] = ()
    patience_s: float = 0.0

    def __add__(self, other: Look) -> Look:
        """Both stores together."""
        return Look(self.left + other.left, (self.state, other.state), max(self.patience_s, other.patience_s))


class Rest:
    """Takes looks until it is decided whether the stores are at rest.

    They are after two looks in a row that find nothing left and nothing moved. They are given up when the time is over, or when nothing has moved for
    longer than any wait that the stores know of: what is stuck does not come to rest later.
    """

    def __init__(self, now_s: float, within_s: float) -> None:
        self.reached = False
        self.left: tuple[str, ...] = ("nobody looked",)
        self._until_s = now_s + within_s
        self._moved_s = now_s
        self._last: Look | None = None

    def __repr__(self) -> str:
        return f"<Rest {'reached' if self.reached else f'not reached, {len(self.left)} left'}>"

    def take(self, look: Look, now_s: float) -> bool:
        """Take a look made at that time; True when it is decided."""
        last, self._last, self.left = self._last, look, look.left
        moved = last is None or (last.left, last.state) != (look.left, look.state)
        if moved:
            self._moved_s = now_s
        self.reached = not look.left and not moved
        stuck = bool(look.left) and now_s - self._moved_s > look.patience_s + _MARGIN_S
        return self.reached or stuck or now_s >= self._until_s
