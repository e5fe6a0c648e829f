"""Routes of plain operations: which links each may use, from what it says it uses and the link map.

Declaring too much only exposes an operation to more faults; declaring too little blames the system for errors that a fault explains.
So a callee brings along everything behind it, and a broker everybody who listens there, unless links are named.
"""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.link import Protocol
from chaos.model.plain import PlainOperation, PlainWorkload
from chaos.model.scenario import LinkMap, WorkloadSpec
from chaos.model.workload import OperationKind

__all__ = ["DRIVER", "entrance", "plain_operations", "route_of", "used_link"]

DRIVER = "driver"
_DEADLINE_MS = 2000.0
_COMPLETION_MS = 10_000.0


def entrance(to: str) -> str:
    """Name of the driver's own link to a callee."""
    return f"{DRIVER}>{to}"


def used_link(to: str, used: str, link_map: LinkMap) -> str | None:
    """The link that a word of `uses` means: a link of that name, the one from `to` to that callee, or the one by which it listens at `to`.

    None if the map has no such link.
    """
    candidates = (used,) if ">" in used else (f"{to}>{used}", f"{used}>{to}")
    return next((one for one in candidates if one in link_map.names), None)


def route_of(to: str, uses: Iterable[str] | None, link_map: LinkMap) -> tuple[str, ...]:
    """The driver's link, then what the operation uses, each once. Words of `uses` that mean no link are left out."""
    if uses is None:
        return (entrance(to), *_behind([to], link_map))
    words = tuple(uses)
    named = [link for word in words if (link := used_link(to, word, link_map)) is not None]
    if any(">" in word for word in words):
        return tuple(dict.fromkeys((entrance(to), *named)))
    further = _behind((_far_end(link, to) for link in named), link_map, apart_from=to)
    return tuple(dict.fromkeys((entrance(to), *named, *further)))


def plain_operations(spec: WorkloadSpec, link_map: LinkMap) -> tuple[OperationKind, ...]:
    """The operations of a plain workload with routes and deadlines; none for a workload of another kind."""
    plain = spec.plain
    if plain is None:
        return ()
    return tuple(_operation(spec, plain, name, one, link_map) for name, one in plain.operations.items())


def _operation(
    spec: WorkloadSpec, plain: PlainWorkload, name: str, one: PlainOperation, link_map: LinkMap
) -> OperationKind:
    own = spec.completion_ms if one.asynchronous else spec.deadline_ms
    usual = _COMPLETION_MS if one.asynchronous else _DEADLINE_MS
    return OperationKind(
        name=name,
        route=route_of(plain.to, one.uses, link_map),
        writes=one.writes,
        asynchronous=one.asynchronous,
        streams=one.content.ends_with is not None,
        deadline_ms=next(ms for ms in (one.deadline_ms, own, usual) if ms is not None),
        weight=one.weight,
        effects=one.effects,
    )


def _behind(starts: Iterable[str], link_map: LinkMap, apart_from: str = "") -> tuple[str, ...]:
    """All links that can be reached from these parts, nearest first: what they call, and who listens at a broker that they reach.

    What lies behind the part `apart_from` is left out.
    """
    brokers = {link.callee for link in link_map.links if link.protocol is Protocol.NATS}
    found: dict[str, None] = {}
    waiting = list(dict.fromkeys(starts))
    seen = {*waiting, apart_from}
    while waiting:
        part = waiting.pop(0)
        for link in link_map.links:
            if link.caller == DRIVER or not (link.caller == part or (part in brokers and link.callee == part)):
                continue
            found[link.name] = None
            for end in (link.caller, link.callee):
                if end not in seen:
                    seen.add(end)
                    waiting.append(end)
    return tuple(found)


def _far_end(link: str, to: str) -> str:
    caller, _, callee = link.partition(">")
    return caller if callee == to else callee
