"""What is usual: what operations took and needed in the baseline, by workload and operation."""

from __future__ import annotations

from statistics import median

from chaos.model.event import PhaseName
from chaos.model.evidence import Evidence
from chaos.oracles.hops import Hops

__all__ = ["usual_latencies_ms", "usual_messages"]

_Kind = tuple[str, str]


def usual_latencies_ms(evidence: Evidence, steady_from_ns: int | None) -> dict[_Kind, float]:
    """Medians of operations answered ok while the baseline was steady; none if it never was."""
    baseline = evidence.baseline
    if baseline is None or steady_from_ns is None:
        return {}
    found: dict[_Kind, list[float]] = {}
    for one in evidence.operations:
        if steady_from_ns <= one.start_ns < baseline.t_ns and one.ok and one.latency_ms is not None:
            found.setdefault((one.workload, one.name), []).append(one.latency_ms)
    return {kind: median(many) for kind, many in found.items()}


def usual_messages(evidence: Evidence, hops: Hops) -> dict[_Kind, int]:
    """The most messages of services that any operation answered ok needed in the baseline."""
    baseline = evidence.phase(PhaseName.BASELINE)
    most: dict[_Kind, int] = {}
    for one in evidence.operations:
        if baseline and baseline.start_ns <= one.start_ns < baseline.end_ns and one.ok:
            kind = one.workload, one.name
            most[kind] = max(most.get(kind, 0), sum(hop.of_a_service for hop in hops.of.get(one.trace_id, ())))
    return most
