"""The table of faults: what each kind does, its attributes, and what a caller can see of it."""

from __future__ import annotations

from chaos.model.fault_kind import Attribute, Effect, FaultKind, Phase

__all__ = ["FAULT_KINDS"]


def _ms(about: str, minimum: int = 0) -> Attribute:
    return Attribute(unit="ms", minimum=minimum, about=about)


_ANY_TIME = tuple(Phase)
_WITH_A_MESSAGE = (Phase.BEFORE, Phase.AFTER, Phase.DURING)

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
            picks=False,
            acts_without_traffic=True,
        ),
        FaultKind(
            name="hang",
            about="a server wedged: accepts, keeps every byte, says nothing; when it ends, held connections are reset",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            standard=False,
            picks=False,
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
            picks=False,
        ),
        FaultKind(
            name="blackhole",
            about="one-way silence: data of its direction vanishes, nothing is closed; when it ends, what lost data is reset",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            attributes={"half_open": Attribute(unit="flag", about="leaves what lost data silent for good instead")},
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
        FaultKind(
            name="cut",
            about="ends the connection at a message, by an RST",
            effects=frozenset({Effect.CUT}),
            attributes={"fin": Attribute(unit="flag", about="closes it instead")},
            standard=False,
            phases=_ANY_TIME,
        ),
        FaultKind(
            name="hold",
            about="passes a message on late",
            effects=frozenset({Effect.SLOW}),
            attributes={"hold": _ms("how late", 1)},
            standard=False,
            phases=_ANY_TIME,
        ),
        FaultKind(
            name="drop",
            about="swallows a message; a connection that cannot do without it says no more, and is reset when the fault ends",
            effects=frozenset({Effect.SLOW, Effect.CUT}),
            standard=False,
            phases=_ANY_TIME,
        ),
        FaultKind(
            name="error",
            about="answers with an error in the callee's place",
            effects=frozenset(),
            attributes={"retry_after": _ms("asks the caller for this pause (HTTP)")},
            standard=False,
            phases=_ANY_TIME,
        ),
        FaultKind(
            name="truncate",
            about="passes half of a message on, then ends the connection",
            effects=frozenset({Effect.CUT}),
            standard=False,
            phases=_WITH_A_MESSAGE,
        ),
        FaultKind(
            name="malform",
            about="garbles a message's content; length and framing stay right",
            effects=frozenset({Effect.CUT}),
            standard=False,
            phases=_WITH_A_MESSAGE,
        ),
        FaultKind(
            name="duplicate",
            about="passes a message on twice (NATS)",
            effects=frozenset({Effect.NOTHING}),
            standard=False,
            phases=(Phase.BEFORE, Phase.AFTER),
        ),
    )
}
