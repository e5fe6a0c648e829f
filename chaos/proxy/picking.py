"""What a toxic's `count`, `per`, `match` and `ramp_ms` come to, and which combinations mean nothing and are refused."""

from __future__ import annotations

from chaos.model.link import Protocol
from chaos.proxy.counting import OP_PREFIX, Count, Scope, Tally, matcher
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.settings import ToxicSpec
from chaos.proxy.stage import MAX_NS, MS, ToxicType

__all__ = ["ramp_of", "tally_of"]


#: Protocols whose messages are told apart, and those of them that say which operation a message belongs to.
_FRAMED = frozenset({Protocol.HTTP, Protocol.POSTGRES, Protocol.NATS})
_NAMING = frozenset({Protocol.HTTP, Protocol.NATS})


def tally_of(spec: ToxicSpec, kind: ToxicType, protocol: Protocol | None) -> Tally | None:
    """What picks the messages (or connections) that the toxic acts on; None for all of them. Raises BadAttributesError."""
    if spec.count is None and spec.match is None:
        if spec.per is not None:
            raise BadAttributesError("per says where count begins anew: give count, too, or leave it out")
        return None
    if not kind.countable:
        raise BadAttributesError(f"{kind.name} acts on the whole link: leave count and match out")
    scope = _scope(spec, kind)
    _check_protocol(spec, scope, protocol)
    try:
        count = None if spec.count is None else Count.of(spec.count)
    except ValueError as error:
        raise BadAttributesError(str(error)) from error
    return Tally(count, scope, None if spec.match is None else matcher(spec.match))


def _check_protocol(spec: ToxicSpec, scope: Scope, protocol: Protocol | None) -> None:
    of_operation = scope is Scope.OPERATION or (spec.match or "").startswith(OP_PREFIX)
    if protocol not in _FRAMED and (of_operation or spec.match is not None):
        asked = "match" if spec.match is not None else "per operation"
        raise BadAttributesError(
            f"{asked} needs a link whose messages are told apart: create the proxy with protocol http, nats or postgres, "
            "or count per link or connection"
        )
    if of_operation and protocol not in _NAMING:
        raise BadAttributesError(
            f"a message of {protocol} does not say which operation it belongs to: count per link or connection, "
            "match its signature"
        )


def _scope(spec: ToxicSpec, kind: ToxicType) -> Scope:
    try:
        scope = Scope(spec.per or Scope.LINK)
    except ValueError:
        raise BadAttributesError(f"per {spec.per!r} is unknown, it can be {', '.join(Scope)}") from None
    if kind.closes_accepted and (spec.match is not None or scope is not Scope.LINK):
        raise BadAttributesError(f"{kind.name} counts connections of the link: leave match and per out")
    return scope


def ramp_of(spec: ToxicSpec, kind: ToxicType) -> int:
    """Nanoseconds that the toxic's attributes take to grow; 0 without a ramp. Raises BadAttributesError."""
    if spec.ramp_ms is None:
        return 0
    if kind.stage is None or not kind.attributes.__struct_fields__ or not kind.attributes.grows:
        raise BadAttributesError(f"{kind.name} has no attributes that could grow: leave ramp_ms out")
    if spec.ramp_ms < 0:
        raise BadAttributesError(f"ramp_ms {spec.ramp_ms:g} is negative; give the milliseconds that the growth takes")
    return min(round(spec.ramp_ms * MS), MAX_NS)
