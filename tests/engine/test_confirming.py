"""Which second runs a verdict asks for, and that they are made, recorded, and given up in good order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from chaos.engine.confirming import MOST_ATTEMPTS, Ending, attempts_allowed, confirm, plan_attempts
from chaos.engine.planning import load_plan
from chaos.engine.recorder import Recorder
from chaos.journal import open_journal, read_evidence
from chaos.journal.names import segment_file
from chaos.model.event import (
    JOURNAL_FORMAT,
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    FaultArmed,
    HealChecked,
    Note,
    PhaseStarted,
    RunEnded,
    RunStarted,
)
from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.fault import FaultSpec
from chaos.model.plan import Plan
from chaos.model.scenario import LinkMap
from chaos.model.settings import PhaseLimits
from chaos.model.system import ReadyWhen, ServiceModel, SystemModel, Upstream
from chaos.model.verdict import RunVerdict, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import judge
from tests.oracles.build import SECOND, cell, fault, operation, plan, run, steady_load

LATE = tuple(operation(22.05 + i / 10, took_ms=3000) for i in range(5))
LOAD = steady_load(10, 26)


def timed(name: str, at_s: float, link: str = "rag>postgres") -> FaultSpec:
    """A slow link for four seconds from then on."""
    return msgspec.structs.replace(fault("latency", link, name=name), at_ms=at_s * 1000)


def suspecting(what: Plan, *faults: str | None) -> RunVerdict:
    """A verdict on that plan which suspects the rag workload's bounded cells of these faults."""
    verdict = judge(run(what, *LOAD))
    finding = judge(run(plan(fault("latency", "rag>postgres")), *LOAD, *LATE)).findings[0]
    cells = tuple(
        msgspec.structs.replace(one, verdict=Verdict.UNKNOWN, findings=(finding,))
        if one.cell.oracle == "bounded" and one.cell.fault in faults
        else one
        for one in verdict.cells
    )
    return msgspec.structs.replace(verdict, cells=cells)


APART = plan(timed("one", 0), timed("two", 10), timed("three", 20), timed("four", 30))


@pytest.mark.parametrize(
    ("what", "suspected", "most", "repeated"),
    [
        (APART, [], 3, []),
        (APART, ["two"], 3, [["two"]]),
        (APART, ["two"], 0, []),
        (APART, ["three", "one"], 3, [["one"], ["three"]]),
        (APART, ["one", "two", "three"], 3, [["one"], ["two"], ["three"]]),
        (APART, ["one", "two", "three", "four"], 3, [["one", "two", "three", "four"]]),  # more than there may be
        (APART, ["one", "two"], 1, [["one", "two", "three", "four"]]),
        (APART, [None], 3, [["one", "two", "three", "four"]]),  # time without a fault is that of the whole
        (APART, [None, "two"], 3, [["one", "two", "three", "four"]]),
        # 2 s of settling after the first one's end at 4 s: 5.9 s is within, 6.1 s is not.
        (plan(timed("a", 0), timed("b", 5.9), timed("c", 20)), ["b"], 3, [["a", "b"]]),
        (plan(timed("a", 0), timed("b", 6.1), timed("c", 20)), ["b"], 3, [["b"]]),
        (plan(timed("a", 0), timed("b", 5), timed("c", 10)), ["a", "c"], 3, [["a", "b", "c"]]),  # a row of three
    ],
)
def test_second_runs_repeat_what_is_suspected(
    what: Plan, suspected: Sequence[str | None], most: int, repeated: list[list[str]]
) -> None:
    """Each suspected fault with those that overlap it, the first one at once; everything where that would be too many runs."""
    attempts = plan_attempts(suspecting(what, *suspected), what, most)
    assert [[one.name for one in each.plan.faults] for each in attempts] == repeated
    asked = sorted(cell_id for one in attempts for cell_id in one.cells)
    assert asked == sorted(f"bounded/{name or 'none'}/rag" for name in (suspected if attempts else []))
    for one in attempts:
        assert {each.fault for each in one.plan.cells} == {None, *(each.name for each in one.plan.faults)}
        assert one.plan.scenario.seed == what.scenario.seed


def test_a_fault_alone_begins_at_once_and_keeps_its_distance_to_others() -> None:
    """Times count from the first of those that are repeated."""
    what = plan(timed("a", 0), timed("b", 20), timed("c", 23))
    (attempt,) = plan_attempts(suspecting(what, "c"), what, 3)
    assert [(one.name, one.at_ms) for one in attempt.plan.faults] == [("b", 0), ("c", 3000)]


def test_where_a_fault_may_remain_nothing_is_repeated() -> None:
    """It would be under that fault."""
    verdict = msgspec.structs.replace(suspecting(APART, "two"), exit_code=int(ExitCode.FAULT_REMAINS))
    assert plan_attempts(verdict, APART, 3) == ()


def own(**fields: object) -> Plan:
    """The plan on a system of the user's own."""
    what = plan(fault())
    return msgspec.structs.replace(what, scenario=msgspec.structs.replace(what.scenario, own=SystemModel(**fields)))  # type: ignore[arg-type]


def leading(upstream: str) -> Plan:
    """The plan on a service of its own, with a link map whose first link ends there."""
    service = ServiceModel(name="rag", command=("x",), ready=ReadyWhen(kind="tcp"), port=8080)
    what = own(services=(service,))
    link = next(one for one in what.links if one.callee == "rag")
    links = LinkMap(name="map", links=(msgspec.structs.replace(link, upstream=upstream),))
    return msgspec.structs.replace(what, scenario=msgspec.structs.replace(what.scenario, links=links))


@pytest.mark.parametrize(
    ("what", "asked", "allowed"),
    [
        (plan(fault()), None, MOST_ATTEMPTS),
        (plan(fault()), 0, 0),
        (plan(fault()), 1, 1),
        (own(stores={"postgres": "local"}), None, MOST_ATTEMPTS),
        (own(stores={"postgres": "postgres://db/x"}), None, 0),
        (own(stores={"postgres": "postgres://db/x"}), 2, 2),
        (own(upstreams={"web": Upstream(address="127.0.0.1:80")}), None, 0),
        (own(upstreams={"web": Upstream(address="127.0.0.1:80")}), 3, 3),
        (leading("127.0.0.1:5999"), None, 0),
        (leading("127.0.0.1:8080"), None, MOST_ATTEMPTS),
        (leading("db.example:8080"), None, 0),
        (leading("127.0.0.1:5999"), 1, 1),
    ],
)
def test_a_system_that_runs_already_is_drilled_again_only_if_the_scenario_says_so(
    what: Plan, asked: int | None, allowed: int
) -> None:
    """What the run starts itself nobody else uses."""
    expect = msgspec.structs.replace(what.scenario.expect, confirm=asked)
    what = msgspec.structs.replace(what, scenario=msgspec.structs.replace(what.scenario, expect=expect))
    assert attempts_allowed(what) == allowed


def test_the_command_line_can_rule_second_runs_out() -> None:
    """Whatever the scenario says."""
    assert attempts_allowed(load_plan("smoke")) == MOST_ATTEMPTS
    assert attempts_allowed(load_plan("smoke", confirm=False)) == 0


def told(recorder: Recorder, evidence: Evidence) -> None:
    """Record what the evidence holds, as a run would."""
    for span in evidence.phases:
        recorder.emit(PhaseStarted(t_ns=span.start_ns, phase=span.phase))
    assert evidence.baseline is not None
    rest: list[AnyEvent] = [evidence.baseline, *evidence.refusals, *evidence.loads, *evidence.probes]
    rest += [
        FaultArmed(
            t_ns=one.planned_start_ns,
            fault=one.fault,
            link=one.link,
            start_ns=one.planned_start_ns,
            end_ns=one.planned_end_ns,
        )
        for one in evidence.faults
    ]
    for event in (*rest, HealChecked(t_ns=24 * SECOND)):
        recorder.emit(event)
    recorder._journal.operations(evidence.operations)
    edges = [
        WireRecord(t_ns or 0, kind, one.link, faults=(one.fault,), status=status)
        for one in evidence.faults
        for kind, t_ns, status in (("on", one.onset_ns, ""), ("off", one.heal_ns, "ended"))
    ]
    recorder._journal.wire(msgspec.msgpack.encode([*evidence.wire, *edges]))


@dataclass
class Once:
    """Stands in for one run: records given evidence and ends in a given way; knows what it was asked."""

    evidence: Evidence
    ends: list[Ending]
    asked: list[tuple[list[str], str, str]] = field(default_factory=list)

    async def __call__(self, what: Plan, recorder: Recorder, run_id: str, logs: Path) -> Ending:
        self.asked.append(([one.name for one in what.faults], run_id, logs.name))
        told(recorder, self.evidence)
        return self.ends[len(self.asked) - 1]


COMPLETE = Ending(how="complete")
ONE = plan(fault("latency", "rag>postgres"))


async def confirmed(
    folder: Path, once: Once, *, what: Plan = ONE, in_the_way: str = ""
) -> tuple[Ending, Evidence, list[AnyEvent]]:
    """A first run that is complete and has late answers, its second runs, and all that was told."""
    events: list[AnyEvent] = []
    with open_journal(folder) as journal:
        recorder = Recorder(journal, events.append, what)
        recorder.begin(RunStarted(t_ns=1, format=JOURNAL_FORMAT, run_id=folder.name, wall_ns=1, plan=what, versions={}))
        told(recorder, run(what, *LOAD, *LATE))
        if in_the_way:
            (folder / in_the_way).touch()
        ended = await confirm(what, recorder, folder, once)
        recorder.emit(RunEnded(t_ns=90 * SECOND, how=ended.how, error=ended.error))
    return ended, read_evidence(folder), events


async def test_a_second_run_is_made_recorded_and_judged(tmp_path: Path) -> None:
    """With an id and logs of its own; the record judges as violated what both show."""
    once = Once(run(ONE, *LOAD, *LATE), [COMPLETE])
    ended, evidence, events = await confirmed(tmp_path / "run", once)
    assert ended == COMPLETE
    assert once.asked == [(["broken"], "run.1", "attempt-1")]
    (started,) = (one for one in events if isinstance(one, AttemptStarted))
    assert (started.number, started.of, started.cells) == (1, 1, ("bounded/broken/rag",))
    assert [one.how for one in events if isinstance(one, AttemptEnded)] == ["complete"]
    assert [one.run_id for one in evidence.attempts] == ["run.1"]
    assert cell(judge(evidence), "bounded/broken/rag").verdict is Verdict.VIOLATED


async def test_a_run_that_suspects_nothing_is_not_repeated(tmp_path: Path) -> None:
    """One late answer is tolerated; so is a limit that was kept."""
    calm = plan(fault("latency", "rag>postgres"), phases={"baseline": PhaseLimits(p99_ms=5000)})
    once = Once(run(calm), [])
    with open_journal(tmp_path / "run") as journal:
        recorder = Recorder(journal, lambda _event: None, calm)
        recorder.begin(RunStarted(t_ns=1, format=JOURNAL_FORMAT, run_id="run", wall_ns=1, plan=calm, versions={}))
        told(recorder, run(calm, *LOAD, LATE[0]))
        assert await confirm(calm, recorder, tmp_path / "run", once) == COMPLETE
    assert once.asked == []


TWO = plan(timed("one", 0), timed("two", 10, "gateway>provider"))


@pytest.mark.parametrize(
    ("ends", "whole", "runs"),
    [
        ([COMPLETE, COMPLETE], COMPLETE, 2),
        ([Ending(how="failed", error="postgres died"), COMPLETE], COMPLETE, 1),
        ([Ending(how="aborted"), COMPLETE], COMPLETE, 1),
        ([Ending(how="interrupted"), COMPLETE], Ending(how="interrupted"), 1),
        ([COMPLETE, Ending(how="interrupted")], Ending(how="interrupted"), 2),
    ],
)
async def test_second_runs_end_with_the_first_that_is_not_complete(
    tmp_path: Path, ends: list[Ending], whole: Ending, runs: int
) -> None:
    """On a rig that broke another one proves nothing; only an interrupt is the end of the whole."""
    once = Once(run(TWO, *LOAD), ends)
    ended, evidence, _ = await confirmed(tmp_path / "run", once, what=TWO)
    assert (ended, [names for names, _, _ in once.asked]) == (whole, [["one"], ["two"]][:runs])
    assert [one.end_how for one in evidence.attempts] == [one.how for one in ends[:runs]]
    assert evidence.end_how == "complete"


async def test_without_room_for_its_record_no_second_run_begins(tmp_path: Path) -> None:
    """A note says why, and the run is complete all the same."""
    once = Once(run(ONE, *LOAD), [])
    ended, evidence, events = await confirmed(tmp_path / "run", once, in_the_way=segment_file("wire", 1))
    assert (ended, once.asked, evidence.attempts) == (COMPLETE, [], ())
    assert any("no second run could be recorded" in one.text for one in events if isinstance(one, Note))
    assert cell(judge(evidence), "bounded/broken/rag").verdict is Verdict.UNKNOWN


async def test_a_record_that_cannot_be_read_meanwhile_costs_nothing(tmp_path: Path) -> None:
    """What is wrong with looking at it is no fault of the run."""
    once = Once(run(ONE, *LOAD), [])
    events: list[AnyEvent] = []
    with open_journal(tmp_path / "run") as journal:
        recorder = Recorder(journal, events.append, ONE)
        recorder.begin(RunStarted(t_ns=1, format=JOURNAL_FORMAT, run_id="run", wall_ns=1, plan=ONE, versions={}))
        assert await confirm(ONE, recorder, tmp_path / "elsewhere", once) == COMPLETE
    assert any(
        "whether a second run is needed could not be told" in one.text for one in events if isinstance(one, Note)
    )
