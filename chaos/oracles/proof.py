"""Did a fault act? Proof per fault and link, from the wire log and our own refused connections; without it nothing may HOLD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.model.evidence import Evidence, FaultInterval
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol
from chaos.model.operation import AnswerKind
from chaos.oracles.between import DRIVER
from chaos.oracles.concern import Concerns
from chaos.oracles.text import counted

__all__ = ["Proof", "bypassed", "prove"]

# A fault that ended so was not removed by this run when it meant to: what it was testing is UNKNOWN.
_LOST_CONTROL = {
    "lease": "its lease ran out",
    "hard-end": "its hard end removed it",
    "proxy-gone": "the proxy went away",
    "replaced": "another fault took its place",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a fault provably acted on a link; `text` says what shows it, or what is missing."""

    proven: bool
    text: str


def prove(evidence: Evidence, concerns: Concerns) -> dict[tuple[str, str], Proof]:
    """A proof, or what is missing for one, for every fault of the plan on each of its links."""
    links = {link.name: link for link in evidence.plan.links}
    named = _connect_errors(evidence, concerns, links)
    return {
        (fault.name, name): _prove_one(evidence, concerns, fault, links[name], named)
        for fault in evidence.plan.faults
        for name in fault.links
    }


def _prove_one(
    evidence: Evidence, concerns: Concerns, fault: FaultSpec, link: Link, named: Mapping[tuple[str, str], int]
) -> Proof:
    intervals = [one for one in evidence.faults if (one.fault, one.link) == (fault.name, link.name)]
    trouble = _trouble(intervals, evidence) or bypassed(evidence, link.callee)
    if trouble:
        return Proof(proven=False, text=trouble)
    if fault.kind == "refuse":
        return _refused(evidence, concerns, fault.name, link.name, named)
    headers = all(one.spec.carries_context for one in evidence.plan.workloads if link.name in one.route)
    return _acted(concerns, fault.name, link, names_operations=headers and link.traced)


def _trouble(intervals: list[FaultInterval], evidence: Evidence) -> str:
    """Why the fault on this link proves nothing, whatever the wire shows; empty if there is no such reason."""
    if not any(one.onset_ns is not None for one in intervals):
        unsteady = evidence.baseline is not None and not evidence.baseline.steady
        return "it was not begun, as the baseline was not steady" if unsteady else "it was never seen to begin"
    lost = next((_LOST_CONTROL[one.how] for one in intervals if one.how in _LOST_CONTROL), None)
    return f"{lost}, so what it was testing is not known" if lost else ""


def bypassed(evidence: Evidence, callee: str) -> str:
    """Who reaches the callee on a way that no fault of ours is on, or why that is not known; empty if nobody does."""
    checks = [one for one in evidence.bypasses if one.callee == callee]
    for one in reversed(checks):
        if one.around:  # a later check tells of earlier connections, too
            return "; ".join(one.around)
    failed = next((one.error for one in checks if one.error is not None), None)
    return f"it is not known who reaches {callee} around its proxy: {failed}" if failed is not None else ""


def _refused(
    evidence: Evidence, concerns: Concerns, fault: str, link: str, named: Mapping[tuple[str, str], int]
) -> Proof:
    results = [one.result for one in evidence.refusals if (one.fault, one.link) == (fault, link)]
    refused, cut, errors = results.count("refused"), concerns.closed.get((fault, link), 0), named.get((fault, link), 0)
    if not refused:
        seen = (
            f"our probes were answered: {', '.join(sorted(set(results)))}" if results else "no probe of ours was made"
        )
        return Proof(proven=False, text=f"no connection of ours was refused ({seen})")
    if "accepted" in results:
        return Proof(proven=False, text=f"{results.count('accepted')} of {len(results)} probes of ours were accepted")
    if not cut and not errors:
        return Proof(proven=False, text="refused, but no connection was cut and no caller met it: no traffic")
    return Proof(
        proven=True,
        text=f"{counted(refused, 'probe')} refused, {counted(cut, 'connection')} cut, {counted(errors, 'error')} naming it",
    )


def _acted(concerns: Concerns, fault: str, link: Link, *, names_operations: bool) -> Proof:
    hits, acted = concerns.hits.get((fault, link.name), 0), concerns.acted.get((fault, link.name), 0)
    if hits:
        return Proof(proven=True, text=f"{counted(hits, 'operation')} hit")
    if not acted:
        return Proof(proven=False, text="it acted on nothing: no traffic met it")
    if names_operations and link.protocol is Protocol.HTTP:  # elsewhere much of the traffic cannot carry a trace
        return Proof(proven=False, text=f"it acted on {counted(acted, 'message')}, none of an operation of this run")
    if any(one.fault == fault and one.link == link.name for each in set(concerns.of) for one in each):
        return Proof(proven=True, text=f"acted {counted(acted, 'time')}, with operations exposed")
    return Proof(proven=False, text=f"it acted {counted(acted, 'time')}, but no operation was exposed")


def _connect_errors(evidence: Evidence, concerns: Concerns, links: Mapping[str, Link]) -> dict[tuple[str, str], int]:
    """Exposed operations whose error names the callee, per (fault, link); on the driver's own links, those that failed at the driver."""
    named: dict[tuple[str, str], int] = {}
    for operation, near in zip(evidence.operations, concerns.of, strict=True):
        if not near or operation.answer.kind is not AnswerKind.ERROR:
            continue
        for one in near:
            link = links.get(one.link)
            if link is None:
                continue
            at_driver = link.caller == DRIVER and operation.answer.layer == "driver"
            if at_driver or operation.answer.dependency == link.callee:
                named[one.fault, one.link] = named.get((one.fault, one.link), 0) + 1
    return named
