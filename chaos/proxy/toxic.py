"""A toxic on a proxy: what was asked for, what became of it."""

from __future__ import annotations

from chaos.model.link import Protocol
from chaos.proxy.counting import Recent
from chaos.proxy.draws import draw_message, draw_toxicity
from chaos.proxy.message.moment import moment_of
from chaos.proxy.picking import ramp_of, tally_of
from chaos.proxy.settings import ToxicSpec
from chaos.proxy.stage import Attributes, ToxicType
from chaos.proxy.timers import Timer

__all__ = ["Toxic"]


class Toxic:
    """`order` is its place in the chain. `since_ns` is its onset, None while it is armed, `over` that it was removed. `hits` counts what it acted on.

    `scheduled`: it has still to begin or to end by itself. `tally` picks the messages it acts on, None for all. `moment`: a message
    fault, and when it acts.
    """

    def __init__(
        self,
        spec: ToxicSpec,
        type_: ToxicType,
        attributes: Attributes,
        order: int,
        seed: int,
        protocol: Protocol | None = None,
    ) -> None:
        self.spec = spec
        self.kind = type_
        self.attributes = attributes
        self.toxicity = spec.toxicity
        self.order = order
        self.seed = seed if spec.seed is None else spec.seed
        self.name = spec.name or f"{spec.type}_{spec.stream}"
        self.fault = spec.fault or self.name
        self.since_ns: int | None = None
        self.end_ns: int | None = None
        self.hits = 0
        self.timer: Timer | None = None
        self.scheduled = False
        self.over = False
        self.tally = tally_of(spec, type_, protocol)
        self.ramp_ns = ramp_of(spec, type_)
        self.moment = moment_of(spec, type_, protocol)
        self._drawn: Recent[str, int] = Recent()

    def __repr__(self) -> str:
        state = "armed" if self.since_ns is None else "active"
        return f"<Toxic {self.name} {self.type} {self.stream} {state} hits={self.hits}>"

    @property
    def type(self) -> str:
        """Name of its type."""
        return self.kind.name

    @property
    def stream(self) -> str:
        """The stream as it was given."""
        return self.spec.stream

    @property
    def lease(self) -> str | None:
        """Id of the lease it lives by."""
        return self.spec.lease

    @property
    def at_ns(self) -> int | None:
        """When it was asked to begin."""
        return self.spec.at_ns

    @property
    def for_ms(self) -> float | None:
        """How long it was asked to last."""
        return self.spec.for_ms

    @property
    def active(self) -> bool:
        """Whether its onset has been."""
        return self.since_ns is not None

    def affects(self, link: str, connection: int, redraws: int = 0) -> bool:
        """Whether it takes hold of that connection: one draw, the same for the connection's whole life (`redraws`: if strict)."""
        if self.toxicity >= 1:
            return True
        return draw_toxicity(self.seed, link, connection, self.name, redraws) < self.toxicity

    def draws(self, link: str, signature: str) -> bool:
        """Whether it takes that message, the next of its kind: one draw for each, whatever connection it comes on."""
        if self.toxicity >= 1:
            return True
        occurrence = (self._drawn.get(signature) or 0) + 1
        self._drawn.put(signature, occurrence)
        return draw_message(self.seed, link, signature, occurrence, self.name) < self.toxicity
