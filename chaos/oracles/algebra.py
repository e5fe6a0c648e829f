"""How verdicts add up: decisions on operations make a cell's verdict, cells make the run's. Pure tables and counting.

| counted                                                     | verdict  |
|-------------------------------------------------------------|----------|
| any violation                                               | VIOLATED |
| enough decided, and hardly any undecided                    | HOLDS    |
| anything else: no operation, too few, too many undecided    | UNKNOWN  |

A suspected violation, one that rests on time, is undecided here. A cell that is UNKNOWN with some has them as findings that are not
confirmed: `chaos.oracles.confirm` asks a second run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec

from chaos.model.settings import Settings
from chaos.model.verdict import Cell, CellVerdict, Finding, Verdict
from chaos.oracles.text import counted

__all__ = [
    "ASIDE",
    "HELD",
    "UNCONFIRMED",
    "Counts",
    "Decision",
    "Outcome",
    "add_up",
    "required_operations",
    "roll_up",
    "suspected",
    "undecided",
    "unknown",
]


UNCONFIRMED = "this rests on time, and no second run has confirmed it"
"""Why a violation that a quieter machine might not have shown is UNKNOWN."""


class Outcome(Enum):
    """What an oracle says about one operation.

    `SUSPECTED` is a violation that rests on time, until a second run shows it, too. `ASIDE` takes it out of the cell's population: it
    cannot be judged there.
    """

    HELD = "held"
    VIOLATED = "violated"
    SUSPECTED = "suspected"
    UNDECIDED = "undecided"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An outcome; a violation says what is wrong in the words of a finding, an undecided one says why in `reason`.

    `where` says where to look, if not where the operation's answer leads. `remark` marks operations worth counting in the cell's reason.
    `rests_on_time`: another clock, or a quieter machine, might have shown something else; content does not. `facts` show what is wrong
    beside the operation's story, `moments` (CLOCK_MONOTONIC nanoseconds, what happened) in place of its messages.
    """

    outcome: Outcome
    reason: str = ""
    remark: str = ""
    error_class: str = ""
    cause: str = ""
    expected: str = ""
    seen: str = ""
    link: str | None = None
    where: str = ""
    rests_on_time: bool = False
    facts: tuple[str, ...] = ()
    moments: tuple[tuple[int, str], ...] = ()


HELD = Decision(outcome=Outcome.HELD)
ASIDE = Decision(outcome=Outcome.ASIDE)


def undecided(reason: str) -> Decision:
    """An operation that could not be decided, and why."""
    return Decision(outcome=Outcome.UNDECIDED, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A cell's operations by outcome; `suspected` are not among the `undecided` here. `hit` are those a fault provably acted on, `masked` those of them that were answered ok."""

    held: int = 0
    violated: int = 0
    undecided: int = 0
    suspected: int = 0
    hit: int = 0
    masked: int = 0

    @property
    def decided(self) -> int:
        """Held or violated."""
        return self.held + self.violated

    @property
    def open(self) -> int:
        """Neither, for whatever reason."""
        return self.undecided + self.suspected

    @property
    def population(self) -> int:
        """All operations that the cell is about."""
        return self.decided + self.open


def required_operations(settings: Settings, at_most: int | None = None) -> int:
    """Decided operations that HOLDS needs: the setting, or as many as a counted fault can hit (`at_most`) if that is fewer.

    Never below one: without any decided operation nothing holds.
    """
    return max(1, settings.required_operations if at_most is None else min(settings.required_operations, at_most))


def add_up(
    cell: Cell,
    counts: Counts,
    *,
    settings: Settings,
    at_most: int | None = None,
    findings: tuple[Finding, ...] = (),
    suspicions: tuple[Finding, ...] = (),
    why_undecided: str = "",
    why_empty: str = "",
    remarks: str = "",
) -> CellVerdict:
    """The cell's verdict by the table above. `at_most` is how many operations a counted fault can hit, None for others.

    `findings` are of the violated operations, `suspicions` of the suspected ones.
    """
    required = required_operations(settings, at_most)
    tolerated = max(1.0, settings.undecided_ratio * counts.population)
    if counts.violated:
        verdict, reason = Verdict.VIOLATED, f"{counts.violated} of {counted(counts.population, 'operation')}"
    elif not counts.population:
        verdict, reason = Verdict.UNKNOWN, "no operation met this cell" + (f": {why_empty}" if why_empty else "")
    elif counts.open > tolerated:
        verdict, reason = Verdict.UNKNOWN, f"{counts.open} of {counts.population} undecided"
    elif counts.decided < required:
        verdict, reason = Verdict.UNKNOWN, f"{counted(counts.decided, 'operation')} decided, {required} needed"
    else:
        verdict, reason = Verdict.HOLDS, _held_text(counts)
    if counts.undecided and why_undecided:
        reason += (
            f": {why_undecided}" if verdict is Verdict.UNKNOWN else f" ({counts.undecided} undecided: {why_undecided})"
        )
    if suspicions:
        told = f"{counts.suspected} of {counted(counts.population, 'operation')}: {suspicions[0].cause}"
        if verdict is not Verdict.UNKNOWN:
            reason += f" ({told}; {UNCONFIRMED})"
        else:
            reason = f"{reason}; {told}" if counts.undecided else told
    reason = f"{reason}; {remarks}" if remarks else reason
    judged = CellVerdict(
        cell=cell,
        verdict=verdict,
        reason=reason,
        population=counts.population,
        decided=counts.decided,
        undecided=counts.open,
        suspected=counts.suspected,
        violated=counts.violated,
        masked=counts.masked,
        required=required,
        findings=findings,
    )
    return suspected(judged, suspicions) if verdict is Verdict.UNKNOWN and suspicions else judged


def suspected(cell: CellVerdict, suspicions: Iterable[Finding]) -> CellVerdict:
    """The cell as UNKNOWN, with findings that rest on time: a second run has the word."""
    return msgspec.structs.replace(
        cell,
        verdict=Verdict.UNKNOWN,
        reason=f"{cell.reason}; {UNCONFIRMED}",
        findings=tuple(msgspec.structs.replace(one, confirmed=False) for one in suspicions),
    )


def _held_text(counts: Counts) -> str:
    if counts.hit and counts.masked == counts.hit:
        return f"masked {counts.masked}/{counts.hit}, {counted(counts.decided, 'operation')}"
    return counted(counts.decided, "operation")


def unknown(cell: Cell, reason: str, *, error: str | None = None) -> CellVerdict:
    """A cell that could not be judged; `error` is the text of an oracle's crash."""
    return CellVerdict(cell=cell, verdict=Verdict.UNKNOWN, reason=reason, error=error)


def roll_up(verdicts: Iterable[Verdict]) -> Verdict:
    """Over cells: VIOLATED > UNKNOWN > HOLDS. NOT JUDGED does not count, and nothing judged at all is UNKNOWN."""
    seen = set(verdicts) - {Verdict.NOT_JUDGED}
    if Verdict.VIOLATED in seen:
        return Verdict.VIOLATED
    return Verdict.HOLDS if seen == {Verdict.HOLDS} else Verdict.UNKNOWN
