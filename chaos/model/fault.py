"""Faults: what can be done to a link, as data. What each does to a caller decides which error classes it explains."""

from __future__ import annotations

from chaos.model.base import Data
from chaos.model.fault_kind import Attribute, Effect, FaultKind, Phase, Stream, split_phase
from chaos.model.fault_kinds import FAULT_KINDS

__all__ = ["FAULT_KINDS", "Attribute", "Effect", "FaultKind", "FaultSpec", "Phase", "Stream", "split_phase"]


class FaultSpec(Data, frozen=True, kw_only=True):
    """An intention on links, with its own repair. Times are milliseconds from the start of the timeline.

    `links` are names after resolution. `attributes` are those of the kind, as integers in their units. `operation` is a pattern on the
    signature of the messages it acts on, `count` (first, every or nth) and `per` (link, connection, operation) say on which of them, `phase`
    at which moment of their exchange; empty means all of them, and `before`. `answer` is what an error says: an HTTP status, an SQLSTATE, or
    an error of NATS.
    """

    name: str
    kind: str
    links: tuple[str, ...]
    at_ms: float
    for_ms: float
    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    attributes: dict[str, int] = {}
    phase: str = ""
    operation: str = ""
    count: dict[str, int] = {}
    per: str = ""
    answer: str = ""

    def __post_init__(self) -> None:
        """Refuse an unknown kind, negative times, a toxicity outside 0..1 and what is no phase."""
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(FAULT_KINDS)}")
        if self.at_ms < 0 or self.for_ms <= 0:
            raise ValueError("a fault needs at >= 0 and for > 0")
        if not 0 < self.toxicity <= 1:
            raise ValueError("toxicity must be above 0 and at most 1")
        if self.phase:
            split_phase(self.phase)

    @property
    def end_ms(self) -> float:
        """When the fault is planned to end."""
        return self.at_ms + self.for_ms

    @property
    def of_messages(self) -> bool:
        """Whether it acts on single messages."""
        return FAULT_KINDS[self.kind].of_messages

    @property
    def moment(self) -> tuple[Phase, int]:
        """The phase, and the number of the item for `during`."""
        return split_phase(self.phase or Phase.BEFORE)

    @property
    def at_most(self) -> int | None:
        """How many messages it can act on in all, if that is counted; None for any number."""
        if self.per in {"", "link"} and ("first" in self.count or "nth" in self.count):
            return self.count.get("first", 1) * len(self.links)
        return None
