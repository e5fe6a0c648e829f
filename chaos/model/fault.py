"""Faults: what can be done to a link, as data. What each kind does to a caller decides which error classes it explains."""

from __future__ import annotations

from enum import StrEnum

from chaos.model.base import Data

__all__ = ["FAULT_KINDS", "Attribute", "Effect", "FaultKind", "FaultSpec", "Stream", "allowed_statuses"]


class Effect(StrEnum):
    """What a caller can see of a fault."""

    CUT = "cut"  # the connection ends: refused, reset, closed
    SLOW = "slow"  # the answer comes late or never
    NOTHING = "nothing"  # bytes pass, only re-sliced


class Stream(StrEnum):
    """Direction a toxic works on, as in Toxiproxy: upstream is caller to callee."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Attribute(Data, frozen=True, kw_only=True):
    """One number of a fault kind. `unit` is ms, us, bytes, KB/s (1 KB = 1000 bytes), ppm (a share, in a million) or flag."""

    unit: str
    default: int = 0
    minimum: int = 0
    about: str = ""


class FaultKind(Data, frozen=True, kw_only=True):
    """A kind of fault. `standard` kinds are toxics that a Toxiproxy 2.12 server knows too; they and `directed` ones take a stream."""

    name: str
    about: str
    effects: frozenset[Effect]
    attributes: dict[str, Attribute] = {}
    standard: bool = True
    directed: bool = False
    acts_without_traffic: bool = False

    @property
    def takes_stream(self) -> bool:
        """Whether it works on one direction, to be chosen."""
        return self.standard or self.directed


def _ms(about: str, minimum: int = 0) -> Attribute:
    return Attribute(unit="ms", minimum=minimum, about=about)


FAULT_KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for kind in (
        FaultKind(
            name="latency",
            about="delays every chunk by latency +- jitter",
            effects=frozenset({Effect.SLOW}),
            attributes={"latency": _ms("delay of a chunk", 1), "jitter": _ms("uniform deviation")},
        ),
        FaultKind(
            name="bandwidth",
            about="limits the rate; 0 stalls and keeps the data",
            effects=frozenset({Effect.SLOW}),
            attributes={"rate": Attribute(unit="KB/s", about="bytes per millisecond; 0 stalls")},
        ),
        FaultKind(
            name="slow_close",
            about="delays the end of a stream",
            effects=frozenset({Effect.SLOW}),
            attributes={"delay": _ms("delay of the close", 1)},
        ),
        FaultKind(
            name="timeout",
            about="swallows data; closes after this much silence (0: never), and when removed",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            attributes={"timeout": _ms("silence before the close; 0 never closes")},
        ),
        FaultKind(
            name="reset_peer",
            about="RST after the first data of a connection",
            effects=frozenset({Effect.CUT}),
            attributes={"timeout": _ms("wait before the reset")},
        ),
        FaultKind(
            name="slicer",
            about="cuts chunks into small pieces",
            effects=frozenset({Effect.SLOW}),
            attributes={
                "average_size": Attribute(unit="bytes", minimum=1, about="mean size of a piece"),
                "size_variation": Attribute(unit="bytes", about="deviation of the size, below average_size"),
                "delay": Attribute(unit="us", about="pause after each piece"),
            },
        ),
        FaultKind(
            name="limit_data",
            about="closes a connection once this many bytes have passed",
            effects=frozenset({Effect.CUT}),
            attributes={"bytes": Attribute(unit="bytes", about="bytes let through")},
        ),
        FaultKind(
            name="refuse",
            about="a server gone: connections refused, live ones reset; the port stays ours",
            effects=frozenset({Effect.CUT}),
            attributes={"keep_live": Attribute(unit="flag", about="spares live connections")},
            standard=False,
            acts_without_traffic=True,
        ),
        FaultKind(
            name="hang",
            about="a server wedged: accepts, keeps every byte, says nothing; when it ends, held connections are reset",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            standard=False,
        ),
        FaultKind(
            name="reset",
            about="RST on every live connection at onset, then on each connection's next request",
            effects=frozenset({Effect.CUT}),
            standard=False,
        ),
        FaultKind(
            name="accept_close",
            about="new connections are accepted and closed at once; live ones go on",
            effects=frozenset({Effect.CUT}),
            standard=False,
        ),
        FaultKind(
            name="blackhole",
            about="one-way silence: data of its direction vanishes, nothing is closed; when it ends, what lost data is reset",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            standard=False,
            directed=True,
        ),
        FaultKind(
            name="loss",
            about="lost packets: a share of segments is late by a retransmission, and all behind them wait; no data is lost",
            effects=frozenset({Effect.SLOW}),
            attributes={
                "rate": Attribute(unit="ppm", minimum=1, about="share of segments lost"),
                "delay": Attribute(
                    unit="ms", default=200, about="wait before the first retransmission, doubled by each further one"
                ),
            },
            standard=False,
            directed=True,
        ),
        FaultKind(
            name="corrupt",
            about="damages bytes on their way, none is lost",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            attributes={
                "rate": Attribute(unit="ppm", minimum=1, about="share of bytes damaged"),
                "whole": Attribute(unit="flag", about="replaces the byte instead of flipping one of its bits"),
            },
            standard=False,
            directed=True,
        ),
    )
}

_STATUSES = {
    Effect.CUT: frozenset({502, 503, 504}),
    Effect.SLOW: frozenset({503, 504}),
    Effect.NOTHING: frozenset[int](),
}


def allowed_statuses(kind: str, *, on_nats: bool = False) -> frozenset[int]:
    """HTTP statuses that this kind of fault explains. A NATS client only times out on a cut: 503 and 504 there (all three pass)."""
    statuses = frozenset(status for effect in FAULT_KINDS[kind].effects for status in _STATUSES[effect])
    return statuses | frozenset({503, 504}) if on_nats else statuses


class FaultSpec(Data, frozen=True, kw_only=True):
    """An intention on links, with its own repair. Times are milliseconds from the start of the timeline.

    `links` are names after resolution. `attributes` are those of the kind, as integers in their units.
    """

    name: str
    kind: str
    links: tuple[str, ...]
    at_ms: float
    for_ms: float
    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    attributes: dict[str, int] = {}

    def __post_init__(self) -> None:
        """Refuse an unknown kind, negative times and a toxicity outside 0..1."""
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(FAULT_KINDS)}")
        if self.at_ms < 0 or self.for_ms <= 0:
            raise ValueError("a fault needs at >= 0 and for > 0")
        if not 0 < self.toxicity <= 1:
            raise ValueError("toxicity must be above 0 and at most 1")

    @property
    def end_ms(self) -> float:
        """When the fault is planned to end."""
        return self.at_ms + self.for_ms
