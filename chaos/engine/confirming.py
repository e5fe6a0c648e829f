"""Confirming what rests on time: which second runs the first one asks for, and making them, each by the conductor's same list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
import msgspec

from chaos.engine.clock import now_ns
from chaos.engine.recorder import Recorder
from chaos.errors import JournalError
from chaos.journal import read_evidence
from chaos.model.base import Data
from chaos.model.event import AttemptEnded, AttemptStarted, Note
from chaos.model.exit_code import ExitCode
from chaos.model.link import Link
from chaos.model.plan import Plan
from chaos.model.reading import is_loopback, split_address
from chaos.model.system import LOCAL, SystemModel
from chaos.model.verdict import RunVerdict
from chaos.oracles import judge, open_suspicions

__all__ = ["MOST_ATTEMPTS", "Attempt", "Ending", "attempts_allowed", "confirm", "plan_attempts"]

MOST_ATTEMPTS = 3


class Attempt(Data, frozen=True, kw_only=True):
    """A second run: what it repeats, and the cells whose findings it may confirm."""

    plan: Plan
    cells: tuple[str, ...]


class Ending(Data, frozen=True, kw_only=True):
    """How a run ended, as in `RunEnded`."""

    how: str
    error: str | None = None


RunOnce = Callable[[Plan, Recorder, str, Path], Awaitable[Ending]]
"""One run from preflight to stop, of a plan, on a recorder, under that id, with its processes' logs in that folder."""


def attempts_allowed(plan: Plan) -> int:
    """How many second runs there may be. On a system that the run did not start, none unless the scenario asks for them."""
    asked, own = plan.scenario.expect.confirm, plan.scenario.own
    if asked is not None:
        return asked
    ours = own is None or (not own.upstreams and all(where == LOCAL for where in own.stores.values()))
    return MOST_ATTEMPTS if ours and not any(_leads_out(link, own) for link in plan.links) else 0


def _leads_out(link: Link, own: SystemModel | None) -> bool:
    """Whether a link ends at what a link map says runs already, and not at a service of the run on a port of its own."""
    if link.upstream is None:
        return False
    service = None if own is None else own.service(link.callee)
    host, port = split_address(link.upstream)
    return service is None or port != service.port or not is_loopback(host)


def plan_attempts(verdict: RunVerdict, plan: Plan, most: int) -> tuple[Attempt, ...]:
    """The second runs that would confirm what the verdict suspects: one for each fault, alone but for those that overlap it.

    What is suspected of no fault in particular needs the whole timeline; so do more faults than there may be runs. Then that one run
    is asked about every cell. Where a fault may remain, none is made.
    """
    suspected = [one.cell for one in open_suspicions(verdict.cells)]
    if not suspected or most < 1 or verdict.exit_code == ExitCode.FAULT_REMAINS:
        return ()
    rows = [row for row in _rows(plan) if any(cell.fault in row for cell in suspected)]
    if any(cell.fault is None for cell in suspected) or len(rows) > most:
        return (Attempt(plan=plan, cells=tuple(cell.id for cell in suspected)),)
    return tuple(
        Attempt(plan=_only(plan, row), cells=tuple(cell.id for cell in suspected if cell.fault in row)) for row in rows
    )


def _rows(plan: Plan) -> list[frozenset[str]]:
    """The faults in rows that overlap, settling included: what one of them does, another may have to do with."""
    settle_ms = plan.scenario.expect.settings.settle_ms
    rows: list[frozenset[str]] = []
    end_ms = -1.0
    for fault in sorted(plan.faults, key=lambda one: one.at_ms):
        if fault.at_ms <= end_ms:
            rows[-1] |= {fault.name}
        else:
            rows.append(frozenset({fault.name}))
        end_ms = max(end_ms, fault.end_ms + settle_ms)
    return rows


def _only(plan: Plan, names: frozenset[str]) -> Plan:
    """The plan with those faults only, the first one at once, and the cells that they and the time without a fault have."""
    chosen = [one for one in plan.faults if one.name in names]
    first_ms = min(one.at_ms for one in chosen)
    faults = tuple(msgspec.structs.replace(one, at_ms=one.at_ms - first_ms) for one in chosen)
    timeline = msgspec.structs.replace(plan.scenario.timeline, faults=faults)
    scenario = msgspec.structs.replace(plan.scenario, timeline=timeline)
    cells = tuple(one for one in plan.cells if one.fault is None or one.fault in names)
    return msgspec.structs.replace(plan, scenario=scenario, cells=cells, not_judged=())


async def confirm(plan: Plan, recorder: Recorder, folder: Path, once: RunOnce) -> Ending:
    """Judge the complete run recorded so far and make the second runs it asks for; how that ended the whole.

    A second run that did not end as planned is the last one: on a rig that broke, another one proves nothing either. Only an interrupt
    ends the whole.
    """
    for number, attempt in enumerate(attempts := await _wanted(plan, recorder, folder), start=1):
        run_id, logs = f"{folder.name}.{number}", f"logs/attempt-{number}"
        again = recorder.again(attempt.plan, logs)
        started = AttemptStarted(
            t_ns=now_ns(), run_id=run_id, number=number, of=len(attempts), cells=attempt.cells, plan=attempt.plan
        )
        try:
            again.begin(started)
        except JournalError as error:
            recorder.emit(Note(t_ns=now_ns(), text=f"no second run could be recorded: {error}"))
            break
        ended = await once(attempt.plan, again, run_id, folder / logs)
        again.emit(AttemptEnded(t_ns=now_ns(), how=ended.how, error=ended.error))
        if ended.how == "interrupted":
            return Ending(how=ended.how)
        if ended.how != "complete":
            break
    return Ending(how="complete")


async def _wanted(plan: Plan, recorder: Recorder, folder: Path) -> tuple[Attempt, ...]:
    most = attempts_allowed(plan)
    if most < 1:
        return ()
    try:
        return await anyio.to_thread.run_sync(_judged, plan, folder, most)
    except Exception as error:  # noqa: BLE001 - a mistake of ours here must not cost the run that is complete
        text = f"whether a second run is needed could not be told: {type(error).__name__}: {error}"
        recorder.emit(Note(t_ns=now_ns(), text=text))
        return ()


def _judged(plan: Plan, folder: Path, most: int) -> tuple[Attempt, ...]:
    # The record has no end yet, and that it is complete is known.
    evidence = msgspec.structs.replace(read_evidence(folder), end_how="complete")
    return plan_attempts(judge(evidence), plan, most)
