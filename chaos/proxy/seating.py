"""The stage of a toxic for one direction of one connection: the toxic's own, on its ramp, behind its gate."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from chaos.proxy.draws import stage_rng
from chaos.proxy.gate import GatedStage, Turns, Units, chooser
from chaos.proxy.ramp import RampedStage
from chaos.proxy.stage import Stage

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.pipe import Pipe
    from chaos.proxy.toxic import Toxic

__all__ = ["stage_for"]


def stage_for(toxic: Toxic, connection: Connection, pipe: Pipe, now_ns: int) -> Stage:
    """A new stage; the toxic's type has one, and its onset has been."""
    kind = toxic.kind.stage
    assert kind is not None
    link, number = connection.proxy.name, connection.number
    rng = partial(stage_rng, toxic.seed, link, number, toxic.name, pipe.direction)

    def plain(attributes: Any, since_ns: int) -> Stage:
        return kind(attributes, rng, since_ns)

    def ramped(attributes: Any, since_ns: int) -> Stage:
        ramp = (toxic.since_ns or since_ns, toxic.ramp_ns)
        return RampedStage(attributes, kind.capacity, plain, ramp, since_ns)

    make = ramped if toxic.ramp_ns else plain
    if toxic.tally is None:
        return make(toxic.attributes, now_ns)
    chosen = chooser(toxic.tally, number, _units(connection, pipe))
    return GatedStage(toxic.attributes, kind.capacity, make, chosen)


def _units(connection: Connection, pipe: Pipe) -> Units:
    """What a chunk of that direction belongs to."""
    framed = connection.observer.units(pipe.direction)
    if framed is not None:
        return framed
    up, down = connection.up, connection.down
    return Turns(lambda: down.received).up if pipe is up else Turns(lambda: up.received).down
