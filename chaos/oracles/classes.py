"""Which error statuses and codes the faults around an operation explain."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.fault import FAULT_KINDS, Effect, FaultSpec
from chaos.model.link import Protocol
from chaos.oracles.case import Case
from chaos.oracles.concern import Concern

__all__ = ["CODE_STATUS", "allowed_statuses", "can_run_out", "explained_statuses"]

# The status that each problem code of the field stands for; codes outside this table are judged by their answer's status.
CODE_STATUS = {
    "dependency_unavailable": 503,
    "dependency_timeout": 504,
    "dependency_error": 502,
    "deadline_exceeded": 504,
    "rate_limited": 429,
}

_STATUSES = {
    Effect.CUT: frozenset({502, 503, 504}),
    Effect.SLOW: frozenset({503, 504}),
    Effect.NOTHING: frozenset[int](),
}
_LOST_RACES = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected: PostgreSQL 18, appendix A
_TOO_MANY = "429"


def allowed_statuses(fault: FaultSpec, *, on_nats: bool = False) -> frozenset[int]:
    """HTTP statuses that a fault explains. A NATS client only times out on a cut: 503 and 504 there (all three pass)."""
    if fault.kind == "error":
        return _of_answer(fault.answer)
    statuses = frozenset(status for effect in FAULT_KINDS[fault.kind].effects for status in _STATUSES[effect])
    return statuses | frozenset({503, 504}) if on_nats else statuses


def _of_answer(answer: str) -> frozenset[int]:
    """A dependency that answers an error failed; too many requests and a lost race may also be told as such."""
    if answer == _TOO_MANY:
        return frozenset({429, 503})
    if answer in _LOST_RACES:
        return frozenset({409, 503})
    return _STATUSES[Effect.CUT]


def explained_statuses(case: Case, concerns: Iterable[Concern]) -> frozenset[int]:
    """Union over the faults that hit or expose the operation."""
    statuses: frozenset[int] = frozenset()
    for one in concerns:
        fault = case.faults.get(one.fault)
        if fault is not None:
            statuses |= allowed_statuses(fault, on_nats=_on_nats(case, one.link))
    return statuses


def can_run_out(case: Case, concerns: Iterable[Concern]) -> bool:
    """True if one of the faults keeps callers waiting, so that a budget may run out anywhere: slow ones, and a cut on NATS."""
    return any(
        one.fault in case.faults
        and (Effect.SLOW in FAULT_KINDS[case.faults[one.fault].kind].effects or _on_nats(case, one.link))
        for one in concerns
    )


def _on_nats(case: Case, name: str) -> bool:
    link = case.links.get(name)
    return link is not None and link.protocol is Protocol.NATS
