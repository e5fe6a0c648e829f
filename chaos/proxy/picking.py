"""What a toxic's `count`, `per`, `match` and `ramp_ms` come to, and which combinations mean nothing and are refused."""

from __future__ import annotations

from chaos.proxy.counting import Count, Scope, Tally, matcher
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.settings import ToxicSpec
from chaos.proxy.stage import MAX_NS, MS, ToxicType

__all__ = ["ramp_of", "tally_of"]


def tally_of(spec: ToxicSpec, kind: ToxicType, *, framed: bool) -> Tally | None:
    """What picks the messages (or connections) that the toxic acts on; None for all of them. Raises BadAttributesError."""
    if spec.count is None and spec.match is None:
        if spec.per is not None:
            raise BadAttributesError("per says where count begins anew: give count, too, or leave it out")
        return None
    if not kind.countable:
        raise BadAttributesError(f"{kind.name} acts on the whole link: leave count and match out")
    scope = _scope(spec, kind)
    if not framed and (spec.match is not None or scope is Scope.OPERATION):
        asked = "match" if spec.match is not None else "per operation"
        raise BadAttributesError(
            f"{asked} needs a link whose messages are told apart: create the proxy with protocol http, or count per link or connection"
        )
    try:
        count = None if spec.count is None else Count.of(spec.count)
    except ValueError as error:
        raise BadAttributesError(str(error)) from error
    return Tally(count, scope, None if spec.match is None else matcher(spec.match))


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
    if kind.stage is None or not kind.attributes.__struct_fields__:
        raise BadAttributesError(f"{kind.name} has no attributes that could grow: leave ramp_ms out")
    if spec.ramp_ms < 0:
        raise BadAttributesError(f"ramp_ms {spec.ramp_ms:g} is negative; give the milliseconds that the growth takes")
    return min(round(spec.ramp_ms * MS), MAX_NS)
