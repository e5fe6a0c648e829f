"""The toxics of one proxy: added, begun, changed, ended; each at once or by itself at its time, never waiting for a peer."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import msgspec

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.connection import Connection
from chaos.proxy.errors import (
    BadAttributesError,
    InvalidStreamError,
    InvalidToxicTypeError,
    ToxicExistsError,
    ToxicNotFoundError,
)
from chaos.proxy.message.moment import moment_of
from chaos.proxy.picking import ramp_of, tally_of
from chaos.proxy.server import Server
from chaos.proxy.settings import STREAMS, ToxicSpec
from chaos.proxy.stage import MAX_NS, MS, Attributes, ToxicType
from chaos.proxy.toxic import Toxic
from chaos.proxy.toxics import TOXIC_TYPES

__all__ = ["Chain"]


class Chain:
    """In the order of creation. `listening` is called when connects must begin or cease to be refused.

    `protocol` says which messages can be told apart.
    """

    def __init__(
        self,
        server: Server,
        link: str,
        connections: Callable[[], tuple[Connection, ...]],
        listening: Callable[[], None],
        *,
        protocol: Protocol | None = None,
    ) -> None:
        self._server = server
        self._link = link
        self._connections = connections
        self._listening = listening
        self.protocol = protocol
        self._orders = count(1)
        self._toxics: list[Toxic] = []

    def all(self) -> tuple[Toxic, ...]:
        """Upstream ones (and those of both streams) first, each in the order of their creation; armed ones included."""
        return tuple(sorted(self._toxics, key=lambda toxic: (toxic.stream.lower() == "downstream", toxic.order)))

    def active(self) -> list[Toxic]:
        """Those whose onset has been, in the order of their creation."""
        return [toxic for toxic in self._toxics if toxic.active]

    @property
    def message_faults(self) -> list[Toxic]:
        """Those that act on single messages, armed ones included, in the order of their creation."""
        return [toxic for toxic in self._toxics if toxic.moment is not None]

    def at_connect(self, connection: int) -> Toxic | None:
        """The message fault that takes that new connection as it is made, if there is one; every one that is on counts it."""
        found: Toxic | None = None
        for toxic in self.active():
            if (
                toxic.moment is None
                or toxic.moment.phase is not Phase.CONNECT
                or not toxic.affects(self._link, connection)
            ):
                continue
            if toxic.tally is None or toxic.tally.takes_connection():
                found = found or toxic
        return found

    @property
    def refusing(self) -> bool:
        """Whether connects are refused."""
        return any(toxic.kind.closes_listener for toxic in self.active())

    def silent(self, connection: int) -> bool:
        """Whether that new connection is accepted and not passed to the upstream."""
        return any(toxic.kind.accepts_silently and toxic.affects(self._link, connection) for toxic in self.active())

    def closing(self, connection: int) -> Toxic | None:
        """The toxic that ends that new connection at once, if there is one."""
        for toxic in self.active():
            closes = toxic.kind.closes_accepted and toxic.affects(self._link, connection)
            if closes and (toxic.tally is None or toxic.tally.takes_connection()):
                toxic.hits += 1
                return toxic
        return None

    def get(self, name: str) -> Toxic:
        """The toxic of that name. Raises ToxicNotFoundError."""
        for toxic in self._toxics:
            if toxic.name == name:
                return toxic
        raise ToxicNotFoundError

    def check(self, spec: ToxicSpec) -> tuple[ToxicType, Attributes]:
        """What a toxic would be; raises as `add` does and changes nothing."""
        if spec.stream.lower() not in STREAMS:
            raise InvalidStreamError
        kind = TOXIC_TYPES.get(spec.type)
        if kind is None:
            raise InvalidToxicTypeError
        name = spec.name or f"{spec.type}_{spec.stream}"
        if any(toxic.name == name for toxic in self._toxics):
            raise ToxicExistsError
        attributes = kind.decode(spec.attributes)
        if spec.lease is not None:
            self._server.leases.get(spec.lease)
        moment_of(spec, kind, self.protocol)
        tally_of(spec, kind, self.protocol)
        ramp_of(spec, kind)
        return kind, attributes

    def reframe(self, protocol: Protocol | None) -> None:
        """Messages are told apart another way: what could not be added now is removed."""
        self.protocol = protocol
        for toxic in self.all():
            try:
                moment_of(toxic.spec, toxic.kind, protocol)
                tally_of(toxic.spec, toxic.kind, protocol)
            except BadAttributesError:
                self.remove(toxic, "reframed")

    def add(self, spec: ToxicSpec) -> Toxic:
        """Add a toxic and begin it, now or at its time.

        Raises InvalidStreamError, InvalidToxicTypeError, ToxicExistsError, BadAttributesError, LeaseNotFoundError.
        """
        kind, attributes = self.check(spec)
        toxic = Toxic(spec, kind, attributes, next(self._orders), self._server.options.seed, self.protocol)
        self._toxics.append(toxic)
        if toxic.moment is not None:
            for connection in self._connections():
                connection.direct()
        self._tell("added", toxic, type=toxic.type, stream=toxic.stream, lease=toxic.lease)
        self._schedule(toxic)
        return toxic

    def update(self, name: str, attributes: dict[str, int], toxicity: float | None = None) -> Toxic:
        """Change the attributes given and the toxicity; all or nothing. Raises ToxicNotFoundError, BadAttributesError."""
        toxic = self.get(name)
        toxic.attributes = toxic.kind.decode({**msgspec.structs.asdict(toxic.attributes), **attributes})
        toxic.toxicity = toxic.toxicity if toxicity is None else toxicity
        if toxic.active:
            self._redraw([toxic])
            for connection in self._connections():
                connection.update(toxic)
        self._tell("updated", toxic)
        return toxic

    def remove(self, toxic: Toxic, reason: str = "healed") -> None:
        """Take a toxic away; what it held goes on at once. `reason` is the status of its `off` record."""
        self._toxics.remove(toxic)
        toxic.over = True
        if toxic.timer is not None:
            toxic.timer.cancel()
            toxic.timer = None
        self._schedule_over(toxic)
        if not toxic.active:
            self._undirect(toxic)
            self._tell("off", toxic, reason=reason)
            return
        self._redraw(self._before(toxic))
        for connection in self._connections():
            connection.detach(toxic)
        self._undirect(toxic)
        if toxic.kind.closes_listener:
            self._listening()
        self._record("off", toxic, time.monotonic_ns(), reason)
        self._tell("off", toxic, reason=reason)

    def _undirect(self, toxic: Toxic) -> None:
        """With the last message fault the directors leave."""
        if toxic.moment is not None and not self.message_faults:
            for connection in self._connections():
                connection.undirect()

    def _schedule(self, toxic: Toxic) -> None:
        if toxic.at_ns is not None or toxic.for_ms is not None:
            toxic.scheduled = True
            self._server.collector.hold()
        if toxic.at_ns is not None and toxic.at_ns > time.monotonic_ns():
            toxic.timer = self._server.timers.at(toxic.at_ns, lambda: self._begin(toxic), prompt=True)
        else:
            self._begin(toxic)

    def _schedule_over(self, toxic: Toxic) -> None:
        """It has begun and ended as far as it does so by itself: the collector may run again."""
        if toxic.scheduled:
            toxic.scheduled = False
            self._server.collector.let_go()

    def _begin(self, toxic: Toxic) -> None:
        now_ns = toxic.since_ns = time.monotonic_ns()
        self._record("on", toxic, now_ns)
        self._tell("on", toxic)
        if toxic.kind.closes_listener:
            self._listening()
        cuts = toxic.tally is None and toxic.kind.cuts_live is not None and toxic.kind.cuts_live(toxic.attributes)
        self._redraw(self._before(toxic))
        for connection in self._connections():
            if not cuts:
                connection.attach(toxic)
            elif toxic.affects(self._link, connection.number):
                toxic.hits += 1
                connection.reset("rst", toxic.fault)
        if toxic.for_ms is not None:
            # From the planned start: a late onset does not move the end.
            start_ns = now_ns if toxic.at_ns is None else toxic.at_ns
            toxic.end_ns = start_ns + min(round(toxic.for_ms * MS), MAX_NS)
            toxic.timer = self._server.timers.at(toxic.end_ns, lambda: self.remove(toxic, "ended"), prompt=True)
        else:
            self._schedule_over(toxic)

    def _before(self, toxic: Toxic) -> list[Toxic]:
        """The one before it in each of its directions."""
        found: dict[str, Toxic] = {}
        for one in self.active():
            if one.order < toxic.order:
                found |= dict.fromkeys(one.kind.directions(one.stream), one)
        return [found[direction] for direction in toxic.kind.directions(toxic.stream) if direction in found]

    def _redraw(self, toxics: list[Toxic]) -> None:
        """If strict: 2.12 draws again for a toxic that is changed, or whose next neighbour comes or goes."""
        if self._server.options.strict:
            for connection in self._connections():
                for toxic in toxics:
                    connection.redraw(toxic)

    def _tell(self, what: str, toxic: Toxic, **members: str | None) -> None:
        self._server.events.emit(f"toxic.{what}", proxy=self._link, toxic=toxic.name, fault=toxic.fault, **members)

    def _record(self, kind: str, toxic: Toxic, t_ns: int, status: str = "") -> None:
        self._server.wire.append((t_ns, kind, self._link, 0, 0, "", "", 0, (toxic.fault,), status))
