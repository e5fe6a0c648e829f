"""Verdicts, cells and findings: what a run is judged by, with ids that are the same on every night."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from chaos.model.base import Data

__all__ = ["Cell", "CellVerdict", "Finding", "NotJudged", "RunVerdict", "Verdict", "fingerprint"]


class Verdict(StrEnum):
    """HOLDS needs evidence; without it the verdict is UNKNOWN. NOT JUDGED has no effect on the exit code."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    UNKNOWN = "UNKNOWN"
    NOT_JUDGED = "NOT JUDGED"


class Cell(Data, frozen=True, kw_only=True):
    """One oracle x one fault (or none) x one workload (or all)."""

    oracle: str
    fault: str | None = None
    workload: str | None = None

    @property
    def id(self) -> str:
        """Stable id: `oracle/fault/workload`, with `none` and `all` where there is none."""
        return f"{self.oracle}/{self.fault or 'none'}/{self.workload or 'all'}"


class NotJudged(Data, frozen=True, kw_only=True):
    """A cell that is not judged, why, and what would enable it."""

    cell: Cell
    reason: str
    enable: str = ""


def fingerprint(*parts: str | None) -> str:
    """Twelve hex digits of a SHA-256 over the parts: the stable id of a finding (no times, no op ids)."""
    return hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).hexdigest()[:12]


class Finding(Data, frozen=True, kw_only=True):
    """One cause. `signature` is the operation's name or the wire signature, `error_class` the kind of wrong (generic-500, no-answer, ...).

    `cause` is one line for a person; `where` says where to look; `evidence` are the smallest facts that show it; `count` is how many
    operations showed the same cause, of which `operation` and `trace_id` are the first. `confirmed` is None unless the finding rests on
    time: then it says whether a second run shows it, too.
    """

    oracle: str
    cause: str
    expected: str
    seen: str
    error_class: str
    cell: str = ""
    fault: str | None = None
    link: str | None = None
    workload: str | None = None
    signature: str = ""
    operation: str | None = None
    trace_id: str | None = None
    where: str = ""
    evidence: tuple[str, ...] = ()
    count: int = 1
    confirmed: bool | None = None

    @property
    def id(self) -> str:
        """Fingerprint of oracle, fault, link, signature and class."""
        return fingerprint(self.oracle, self.fault, self.link, self.signature, self.error_class)


class CellVerdict(Data, frozen=True, kw_only=True):
    """A judged cell. `decided` and `population` count operations; `reason` says why in one line; `masked` operations were hit and ok.

    `suspected` of the `undecided` ones violate, but that rests on time. An UNKNOWN cell has findings for them, which are not confirmed.
    """

    cell: Cell
    verdict: Verdict
    reason: str
    population: int = 0
    decided: int = 0
    undecided: int = 0
    suspected: int = 0
    violated: int = 0
    masked: int = 0
    required: int = 0
    findings: tuple[Finding, ...] = ()
    error: str | None = None


class RunVerdict(Data, frozen=True, kw_only=True):
    """The verdict on a run: over its cells, VIOLATED > UNKNOWN > HOLDS. `notes` are remarks that a reader should see."""

    run_id: str
    scenario: str
    verdict: Verdict
    exit_code: int
    cells: tuple[CellVerdict, ...]
    not_judged: tuple[NotJudged, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, one per fingerprint, counts added up; those that no second run confirmed come last."""
        merged: dict[str, Finding] = {}
        for one in sorted((each for cell in self.cells for each in cell.findings), key=_unconfirmed):
            seen = merged.get(one.id)
            merged[one.id] = one if seen is None else _with_count(seen, seen.count + one.count)
        return tuple(merged.values())


def _unconfirmed(finding: Finding) -> bool:
    return finding.confirmed is False


def _with_count(finding: Finding, count: int) -> Finding:
    import msgspec

    return msgspec.structs.replace(finding, count=count)
