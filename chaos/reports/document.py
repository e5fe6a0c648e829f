"""The shape of `verdict.json`: every field is always there, ids are stable between nights, times are seconds of the run."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from chaos.reports.summary import Answers

__all__ = [
    "DOCUMENT_FORMAT",
    "AttemptPart",
    "BaselinePart",
    "CellCounts",
    "CellPart",
    "CountsPart",
    "Document",
    "FaultPart",
    "FindingPart",
    "HealPart",
    "LostPart",
    "NotJudgedPart",
    "OraclePart",
    "PhasePart",
    "ProbesPart",
    "RunPart",
    "VerdictName",
    "document_schema",
]  # fmt: skip

DOCUMENT_FORMAT: Final = 1

VerdictName = Literal["HOLDS", "VIOLATED", "UNKNOWN", "NOT JUDGED"]
CellId = Annotated[
    str, Meta(description="oracle/fault/workload, with `none` and `all` where there is none; the same on every night")
]
FindingId = Annotated[str, Meta(description="fingerprint of oracle, fault, link, signature and class; the same on every night", pattern="^[0-9a-f]{12}$")]  # fmt: skip
Seconds = Annotated[float, Meta(description="seconds since the run's first record")]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts: nothing is left out."""


class RunPart(_Part, frozen=True, kw_only=True):
    """Which run this is, what it ran, and how it ended: `complete`, `interrupted`, `failed` or `cut off`."""

    id: str
    scenario: str
    source: str
    sha256: str
    seed: int
    system: str
    defects: list[str]
    started: Annotated[str, Meta(description="UTC, RFC 3339")]
    duration_s: float
    end_how: str
    end_error: str | None
    interrupted_by: str | None
    clock_stepped_ms: float


class CellCounts(_Part, frozen=True, kw_only=True):
    """Cells by verdict."""

    holds: int
    violated: int
    unknown: int
    not_judged: int


class CountsPart(_Part, frozen=True, kw_only=True):
    """How much there was."""

    cells: CellCounts
    findings: int
    operations: Answers
    wire_records: int


class OraclePart(_Part, frozen=True, kw_only=True):
    """One oracle over all its cells; the verdict is its worst, the reason that cell's."""

    name: str
    verdict: VerdictName
    cells: CellCounts
    reason: str


class CellPart(_Part, frozen=True, kw_only=True):
    """One judged cell. Counts are operations; `required` decided ones are needed to hold."""

    id: CellId
    oracle: str
    fault: str | None
    workload: str | None
    verdict: VerdictName
    reason: str
    population: int
    decided: int
    undecided: int
    suspected: Annotated[int, Meta(description="of the undecided ones, those that violate by time")]
    violated: int
    masked: int
    required: int
    findings: list[FindingId]
    error: Annotated[str | None, Meta(description="why the oracle itself failed on this cell")]


class FindingPart(_Part, frozen=True, kw_only=True):
    """One cause. `operation` and `trace_id` are the first of `count` operations that showed it."""

    id: FindingId
    oracle: str
    cells: list[CellId]
    cause: Annotated[str, Meta(description="one line for a person")]
    expected: str
    seen: str
    error_class: str
    fault: str | None
    link: str | None
    workload: str | None
    signature: str
    operation: str | None
    trace_id: str | None
    where: Annotated[str, Meta(description="where to look")]
    evidence: Annotated[list[str], Meta(description="the smallest facts that show it")]
    count: int
    confirmed: Annotated[
        bool | None, Meta(description="whether a second run shows it, too; null where it does not rest on time")
    ]


class NotJudgedPart(_Part, frozen=True, kw_only=True):
    """A cell that was not judged, why, and what would enable it; it has no effect on the exit code."""

    id: CellId
    oracle: str
    fault: str | None
    workload: str | None
    reason: str
    enable: str


class PhasePart(_Part, frozen=True, kw_only=True):
    """A phase of the run."""

    phase: str
    start_s: Seconds
    end_s: Seconds


class FaultPart(_Part, frozen=True, kw_only=True):
    """A fault on a link: planned and actual times. Null where it never began, or was never seen to end."""

    fault: str
    kind: str
    link: str
    planned_start_s: Seconds
    planned_end_s: Seconds
    onset_s: Seconds | None
    heal_s: Seconds | None
    how: Annotated[str, Meta(description="how it ended: ended, healed, lease, hard-end, replaced, proxy-gone")]


class BaselinePart(_Part, frozen=True, kw_only=True):
    """Whether the baseline was steady, and its latencies per workload."""

    steady: bool
    reason: str
    operations: int
    medians_ms: dict[str, float]
    p99s_ms: dict[str, float]


class ProbesPart(_Part, frozen=True, kw_only=True):
    """Recovery probes of a workload."""

    workload: str
    passed: bool
    in_a_row: int
    sent: int


class HealPart(_Part, frozen=True, kw_only=True):
    """Read-backs after healing: what remained, and why one could not be read."""

    checks: int
    remaining: list[str]
    errors: list[str]


class AttemptPart(_Part, frozen=True, kw_only=True):
    """A second run that was made to confirm what rests on time: which faults it repeated, and how it ended."""

    faults: list[str]
    start_s: Seconds
    end_s: Seconds
    end_how: str
    end_error: str | None
    interrupted_by: str | None
    operations: Answers


class LostPart(_Part, frozen=True, kw_only=True):
    """Evidence that was dropped or cannot be had."""

    what: str
    count: int


class Document(_Part, frozen=True, kw_only=True):
    """The verdict on a run of chaos-drill, with what it rests on."""

    format: Literal[1]
    run: RunPart
    verdict: VerdictName
    exit_code: int
    exit_meaning: str
    counts: CountsPart
    oracles: list[OraclePart]
    findings: list[FindingPart]
    cells: list[CellPart]
    not_judged: list[NotJudgedPart]
    phases: list[PhasePart]
    faults: list[FaultPart]
    baseline: BaselinePart | None
    recovery: list[ProbesPart]
    healed: HealPart
    attempts: list[AttemptPart]
    evidence_lost: list[LostPart]
    settings: Annotated[dict[str, float], Meta(description="the numbers verdicts rest on, as used in this run")]
    settings_changed: Annotated[list[str], Meta(description="names of settings that differ from their defaults")]
    notes: list[str]
    versions: dict[str, str]


def document_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of `verdict.json`; `docs/verdict.schema.json` is its output."""
    schema = msgspec.json.schema(Document)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "verdict.json of chaos-drill", **schema}
