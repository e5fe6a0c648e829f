"""Patterns of a fault against the link map: which links they cover, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.link import ANY, match_links, parse_link_name
from chaos.model.reading.problems import Report, known, nearest
from chaos.model.reading.shape import At
from chaos.model.scenario import LinkMap

__all__ = ["resolve_patterns"]


def resolve_patterns(patterns: Iterable[At[str]], link_map: LinkMap, report: Report) -> tuple[str, ...]:
    """All links that the patterns cover, each once, in the map's order; a pattern that covers none is reported."""
    covered: set[str] = set()
    for pattern in patterns:
        covered.update(_resolve(pattern, link_map, report))
    return tuple(name for name in link_map.names if name in covered)


def _resolve(pattern: At[str], link_map: LinkMap, report: Report) -> tuple[str, ...]:
    try:
        links = match_links(pattern.value, link_map.names)
    except ValueError:
        what = f"{pattern.value[:60]!r} is not a link"
        report.add(pattern.place, what, _instead_of_word(pattern.value, link_map))
        return ()
    if not links:
        instead = _instead(pattern.value, link_map)
        report.add(pattern.place, f"no link of the map {link_map.name} matches {pattern.value[:60]!r}", instead)
    return links


def _instead_of_word(word: str, link_map: LinkMap) -> str:
    """What to write for something that is no pattern at all."""
    if any(word == link.callee for link in link_map.links):
        return f"write any>{word}, or name the caller"
    near = nearest(word, link_map.names)
    return f"did you mean {near}?" if near else "write caller>callee, such as rag>postgres or any>postgres"


def _instead(pattern: str, link_map: LinkMap) -> str:
    caller, callee = parse_link_name(pattern)
    if f"{callee}>{caller}" in link_map.names:
        return f"did you mean {callee}>{caller}? The caller comes first"
    callers = dict.fromkeys(link.caller for link in link_map.links)
    callees = dict.fromkeys(link.callee for link in link_map.links)
    if caller not in ANY and callee in ANY:
        near = nearest(caller, callers)
        return f"did you mean {near}>any?" if near else f"callers: {', '.join(callers)}"
    if callee not in ANY and caller in ANY:
        near = nearest(callee, callees)
        return f"did you mean any>{near}?" if near else f"callees: {', '.join(callees)}"
    return known(pattern, link_map.names)
