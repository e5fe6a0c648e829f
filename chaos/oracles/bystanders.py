"""Bystanders: operations that overlap a fault, use none of its links, and that no other fault concerns."""

from __future__ import annotations

from chaos.model.evidence import Evidence
from chaos.oracles.concern import Concerns, Window, until_ns

__all__ = ["find_bystanders"]


def find_bystanders(
    evidence: Evidence, concerns: Concerns, first_ns: int, last_ns: int
) -> dict[tuple[str, str], list[int]]:
    """Indexes of those that start in [first_ns, last_ns), by fault and workload. The fault counts from onset until it healed."""
    by_route: dict[tuple[str, ...], list[Window]] = {}
    found: dict[tuple[str, str], list[int]] = {}
    for index, (operation, near) in enumerate(zip(evidence.operations, concerns.of, strict=True)):
        if near or not first_ns <= operation.start_ns < last_ns:
            continue
        route, end_ns = operation.route, until_ns(operation)
        if route not in by_route:
            by_route[route] = _beside(evidence, concerns, route)
        for fault in {one.fault for one in by_route[route] if one.lasts(operation.start_ns, end_ns)}:
            found.setdefault((fault, operation.workload), []).append(index)
    return found


def _beside(evidence: Evidence, concerns: Concerns, route: tuple[str, ...]) -> list[Window]:
    """Times of the faults that are on no link of the route."""
    on_it = {one.name for one in evidence.plan.faults if set(one.links) & set(route)}
    return [one for one in concerns.windows if one.certain and one.fault not in on_it]
