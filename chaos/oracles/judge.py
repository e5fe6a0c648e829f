"""From evidence to the verdict on a run. Pure: the same evidence gives the same verdict, today or from a stored journal."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from chaos.model.event import PhaseName
from chaos.model.evidence import Evidence
from chaos.model.exit_code import exit_code
from chaos.model.verdict import Cell, CellVerdict, RunVerdict
from chaos.oracles.algebra import roll_up, unknown
from chaos.oracles.case import Case
from chaos.oracles.confirm import SecondRun, confirm, seen_only_again
from chaos.oracles.healed import fault_may_remain
from chaos.oracles.proof import bypassed
from chaos.oracles.registry import find_oracle

__all__ = ["judge"]


def judge(evidence: Evidence) -> RunVerdict:
    """Judge every cell of the evidence's plan, and what rests on time by its second runs as well.

    Never raises for what an oracle does: its crash is that cell's UNKNOWN.
    """
    case = Case(evidence)
    first = _judge_cells(case)
    again = tuple(SecondRun(evidence=one, cells=_judge_cells(Case(one))) for one in evidence.attempts)
    cells = confirm(first, again)
    verdict = roll_up(one.verdict for one in cells)
    every = (evidence, *evidence.attempts)
    return RunVerdict(
        run_id=evidence.run_id,
        scenario=evidence.plan.scenario.name,
        verdict=verdict,
        exit_code=int(
            exit_code(
                verdict,
                fault_remains=any(fault_may_remain(one) for one in every),
                interrupted_by=next((one.interrupted_by for one in every if one.interrupted_by), None),
                aborted=any(one.aborted is not None for one in every),
                not_ready=evidence.end_how == "failed" and evidence.phase(PhaseName.BASELINE) is None,
            )
        ),
        cells=cells,
        not_judged=evidence.plan.not_judged,
        notes=(*_notes(case), *_notes_of(again, first)),
    )


def _judge_cells(case: Case) -> tuple[CellVerdict, ...]:
    return tuple(_judge_cell(case, cell) for cell in case.plan.cells)


def _judge_cell(case: Case, cell: Cell) -> CellVerdict:
    oracle = find_oracle(cell.oracle)
    if oracle is None:
        return unknown(cell, f"this version has no oracle {cell.oracle!r}")
    try:
        return oracle.judge(case, cell)
    except Exception as error:  # noqa: BLE001 - whatever an oracle dies of, it must not hide another's result
        text = "".join(traceback.format_exception(error, limit=-3))
        return unknown(cell, f"the oracle crashed: {type(error).__name__}: {error}", error=text)


def _notes_of(runs: Sequence[SecondRun], first: Sequence[CellVerdict]) -> Iterator[str]:
    """What a reader should know of second runs; a violation that only one of them shows is in no cell, and not to be lost."""
    for number, run in enumerate(runs, start=1):
        name = "the second run" if len(runs) == 1 else f"second run {number}"
        yield from (f"{name}: {text}" for text in _notes(Case(run.evidence)))
        yield from (
            f"{name} shows what the first did not: {one.cause} ({one.cell})" for one in seen_only_again(first, run)
        )


def _notes(case: Case) -> tuple[str, ...]:
    """Remarks that a reader of the verdict should see, each once."""
    evidence = case.evidence
    notes = list(evidence.notes)
    if evidence.end_how not in {"complete", "aborted"}:
        notes.append(f"the run ended as {evidence.end_how}" + (f": {evidence.end_error}" if evidence.end_error else ""))
    if evidence.interrupted_by:
        notes.append(f"{evidence.interrupted_by} ended the run early; it was judged on what there is")
    if evidence.aborted:
        notes.append(f"stopped by an abort condition: {evidence.aborted}")
    if case.clock_stepped:
        notes.append(f"{case.clock_stepped}: nothing that rests on time was decided")
    notes += [text for one in evidence.bypasses if (text := bypassed(evidence, one.callee))]
    notes += [f"evidence lost ({one.count}): {one.what}" for one in evidence.lost]
    notes += [
        f"{one.name} exited with {one.code}, which nobody asked for" for one in evidence.exits if not one.expected
    ]
    notes += [
        f"{one.name} was stopped from outside for up to {(one.end_ns - one.start_ns) / 1e9:.1f} s"
        for one in evidence.stalls
    ]
    if case.lags:
        times = "once" if len(case.lags) == 1 else f"{len(case.lags)} times"
        notes.append(f"the driver's loop stood still {times} beyond {case.settings.loop_lag_ms:g} ms")
    return tuple(dict.fromkeys(notes))
