"""The wire log by operation: what each service sent and was sent in a trace, each message with how it ended.

Application messages only: what a broker's own interface, its acknowledgements and its inboxes carry belongs to the protocol, not to a
workload. One pass over the wire log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.model.evidence import Evidence
from chaos.model.link import Link, Protocol
from chaos.model.wire_record import HOUSEKEEPING, WireRecord
from chaos.oracles.between import DRIVER
from chaos.oracles.concern import FOR_EVER_NS

__all__ = ["Hop", "Hops", "carries_context", "could_carry_context", "find_hops", "same_thing"]

_FRAMED = frozenset({Protocol.HTTP, Protocol.NATS})
# JetStream's interface and its acknowledgements, the server's own subjects, replies to requests.
_OF_THE_BROKER = ("$", "_INBOX.")
_GOES_ON = "+WPI"


@dataclass(slots=True, eq=False)
class Hop:
    """A message from one to the next, and its end. Over a broker, publishing is a hop to it and each delivery one from it.

    `owes_context`: a service sent it over a link that is to carry trace context.
    """

    request: WireRecord
    sender: str
    receiver: str
    owes_context: bool
    reply: WireRecord | None = None

    @property
    def t_ns(self) -> int:
        """When the proxy had it: after it was sent, before it was received."""
        return self.request.t_ns

    @property
    def end_ns(self) -> int:
        """When its answer had been delivered, or its connection was gone."""
        return FOR_EVER_NS if self.reply is None else self.reply.t_ns

    @property
    def status(self) -> str:
        """The answer's status, or how it ended without one; empty if the record does not hold its end."""
        return "" if self.reply is None else self.reply.status

    @property
    def digest(self) -> str:
        """What tells its body from others, in some known at their end only; empty if it has none, or not all of it was seen."""
        return self.request.digest or (self.reply.digest if self.reply else "")

    @property
    def of_a_service(self) -> bool:
        """True for what a service sent: not the driver, and not a broker that delivers."""
        return self.request.direction == ">" and self.sender != DRIVER


@dataclass(slots=True)
class Hops:
    """Messages by trace id, those without one, and by link the times at which a connection on it could not be framed.

    `budgeted`: any message of a service carries a budget.
    """

    of: dict[str, list[Hop]]
    untraced: list[Hop]
    unframed: dict[str, list[tuple[int, int]]]
    budgeted: bool = False


def same_thing(one: Hop, other: Hop) -> bool:
    """True for two messages on one link that cannot be told apart by signature and body."""
    a, b = one.request, other.request
    return (a.link, a.signature, one.digest) == (b.link, b.signature, other.digest)


def carries_context(link: Link) -> bool:
    """True for a link on which messages of a service are to carry trace context."""
    return link.traced and could_carry_context(link)


def could_carry_context(link: Link) -> bool:
    """True for a link of a service whose messages have headers, marked or not."""
    return link.protocol in _FRAMED and link.caller != DRIVER


def find_hops(evidence: Evidence) -> Hops:
    """Messages on the framed links of the map, in the order of the wire log."""
    pairing = _Pairing(evidence.plan.links)
    for one in evidence.wire:
        if one.kind == "request":
            pairing.request(one)
        elif one.kind == "reply":
            pairing.reply(one)
        elif one.kind == "raw":
            pairing.raw(one)
        elif one.kind == "close":
            pairing.close(one)
    return pairing.found()


class _Pairing:
    """Pairs requests with their replies as they come."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._links = {link.name: link for link in links if link.protocol in _FRAMED}
        self._ends = {name: (link.caller, link.callee) for name, link in self._links.items()}
        self._kinds: dict[tuple[str, str, str], bool | None] = {}
        self._under_way: dict[tuple[str, int, int], Hop] = {}
        self._raw: dict[tuple[str, int], int] = {}
        self._hops = Hops(of={}, untraced=[], unframed={})

    def request(self, one: WireRecord) -> None:
        kind = one.link, one.direction, one.signature
        owes_context = self._kinds[kind] if kind in self._kinds else self._kinds.setdefault(kind, self._kind(one))
        if owes_context is None:
            return
        sender, receiver = self._ends[one.link] if one.direction == ">" else self._ends[one.link][::-1]
        hop = self._under_way[one.link, one.connection, one.number] = Hop(one, sender, receiver, owes_context)
        if one.budget_ms is not None and hop.of_a_service:
            self._hops.budgeted = True
        if one.trace_id:
            self._hops.of.setdefault(one.trace_id, []).append(hop)
        else:
            self._hops.untraced.append(hop)

    def _kind(self, one: WireRecord) -> bool | None:
        """Whether messages of this kind owe trace context; None if they are not of an application."""
        link = self._links.get(one.link)
        if link is None or one.signature.startswith(HOUSEKEEPING):
            return None
        if link.protocol is Protocol.NATS:
            verb, _, subject = one.signature.partition(" ")
            if verb not in {"PUB", "MSG"} or subject.startswith(_OF_THE_BROKER):
                return None
        return one.direction == ">" and carries_context(link) and not link.may_lack_context(one.signature)

    def reply(self, one: WireRecord) -> None:
        key = one.link, one.connection, one.number
        hop = self._under_way.get(key)
        if hop is not None:
            hop.reply = one
            if one.status != _GOES_ON:
                del self._under_way[key]

    def raw(self, one: WireRecord) -> None:
        self._raw.setdefault((one.link, one.connection), one.t_ns)

    def close(self, one: WireRecord) -> None:
        begun_ns = self._raw.pop((one.link, one.connection), None)
        if begun_ns is not None:
            self._hops.unframed.setdefault(one.link, []).append((begun_ns, one.t_ns))

    def found(self) -> Hops:
        for (link, _), begun_ns in self._raw.items():
            self._hops.unframed.setdefault(link, []).append((begun_ns, FOR_EVER_NS))
        return self._hops
