"""Second runs in the record of a run: told apart from the first one and from each other, wherever the record ends."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from chaos.errors import JournalError
from chaos.journal import CUT_OFF, Journal, open_journal, read_evidence
from chaos.journal.names import SEGMENTS, segment_file
from chaos.model.event import (
    AttemptEnded,
    AttemptStarted,
    ClockSample,
    Event,
    FaultArmed,
    HealChecked,
    Interrupted,
    Note,
    PhaseName,
    PhaseStarted,
    RunEnded,
)
from chaos.model.evidence import Evidence
from chaos.model.plan import Plan
from chaos.model.wire_record import WireRecord
from tests.journal.build import (
    START_NS,
    WALL_NS,
    at,
    record_sample,
    sample_effects,
    sample_events,
    sample_operation,
    sample_operations,
    sample_plan,
    sample_wire,
)


def slow_alone() -> Plan:
    """The sample's plan with its first fault only."""
    plan = sample_plan()
    timeline = msgspec.structs.replace(plan.scenario.timeline, faults=plan.faults[:1])
    return msgspec.structs.replace(plan, scenario=msgspec.structs.replace(plan.scenario, timeline=timeline))


def first_run(journal: Journal) -> None:
    """The sample run, complete."""
    for event in sample_events():
        journal.write(event)
    journal.operations(sample_operations())
    journal.wire(msgspec.msgpack.encode(sample_wire()))
    journal.effects(sample_effects())


def second_run(journal: Journal, number: int, start_s: float, *, ends: bool = True) -> None:
    """A second run of the slow fault, with one operation and the proxy's word on the fault."""
    started = AttemptStarted(
        t_ns=at(start_s),
        run_id=f"run-1.{number}",
        number=number,
        of=2,
        cells=("bounded/slow-postgres/rag",),
        plan=slow_alone(),
    )
    events: list[Event] = [
        started,
        PhaseStarted(t_ns=at(start_s + 1), phase=PhaseName.BASELINE),
        ClockSample(t_ns=at(start_s + 1), wall_ns=WALL_NS + at(start_s + 1) - START_NS),
        PhaseStarted(t_ns=at(start_s + 2), phase=PhaseName.FAULTS),
        FaultArmed(
            t_ns=at(start_s + 2),
            fault="slow-postgres",
            link="rag>postgres",
            start_ns=at(start_s + 2),
            end_ns=at(start_s + 6),
        ),
        HealChecked(t_ns=at(start_s + 7)),
        Note(t_ns=at(start_s + 7), text=f"note {number}"),
    ]
    for event in events:
        journal.write(event)
    journal.operations([sample_operation(number, "rag", start_s + 3)])
    on_off = [
        WireRecord(at(start_s + 2.1), "on", "rag>postgres", faults=("slow-postgres",)),
        WireRecord(at(start_s + 6.1), "off", "rag>postgres", faults=("slow-postgres",), status="ended"),
    ]
    journal.wire(msgspec.msgpack.encode(on_off))
    if ends:
        journal.write(AttemptEnded(t_ns=at(start_s + 8), how="complete"))


def recorded(folder: Path) -> Evidence:
    """A run with two second runs, as it is read."""
    with open_journal(folder) as journal:
        first_run(journal)
        second_run(journal, 1, 20)
        second_run(journal, 2, 40)
        journal.write(RunEnded(t_ns=at(50), how="complete"))
    return read_evidence(folder)


def test_second_runs_are_told_apart(tmp_path: Path) -> None:
    """Each has its own plan, phases, faults, operations, wire records, notes and end; the first one is as without them."""
    whole = recorded(tmp_path / "whole")
    alone = read_evidence(record_sample(tmp_path / "alone"))
    first = msgspec.structs.replace(whole, attempts=())
    assert first == msgspec.structs.replace(alone, end_ns=first.end_ns, phases=first.phases)
    assert (first.end_how, first.end_ns, first.phases[-1].end_ns) == ("complete", at(20), at(20))
    for number, (run, start_s) in enumerate(zip(whole.attempts, (20, 40), strict=True), start=1):
        assert run.plan == slow_alone()
        assert run.run_id == f"{whole.run_id}.{number}"
        assert list(run.operations) == [sample_operation(number, "rag", start_s + 3)]
        (slow,) = run.faults
        assert (slow.onset_ns, slow.heal_ns) == (at(start_s + 2.1), at(start_s + 6.1))
        assert [one.phase for one in run.phases] == [PhaseName.BASELINE, PhaseName.FAULTS]
        assert (run.notes, len(run.heals)) == ((f"note {number}",), 1)
        assert (run.start_ns, run.end_ns, run.end_how) == (at(start_s), at(start_s + 8), "complete")
        assert run.start_wall_ns - whole.start_wall_ns == run.start_ns - whole.start_ns
        assert (run.lost, run.clock_stepped_ms) == ((), 0.0)


def test_a_record_cut_off_amid_a_second_run(tmp_path: Path) -> None:
    """The first run is complete all the same; the second one is cut off."""
    recorded(tmp_path)
    path = tmp_path / "journal.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b'"AttemptEnded"')])
    evidence = read_evidence(tmp_path)
    assert (evidence.end_how, evidence.lost) == ("complete", ())
    (run,) = evidence.attempts
    assert (run.end_how, run.end_error) == (CUT_OFF, None)
    assert any("never finished" in note for note in run.notes)
    assert not any("never finished" in note for note in evidence.notes)


@pytest.mark.parametrize("how", ["failed", "interrupted"])
def test_a_second_run_without_an_end_went_down_with_the_whole(tmp_path: Path, how: str) -> None:
    """The record's end is its end."""
    with open_journal(tmp_path) as journal:
        first_run(journal)
        second_run(journal, 1, 20, ends=False)
        journal.write(Interrupted(t_ns=at(28), signal="SIGINT"))
        journal.write(RunEnded(t_ns=at(30), how=how, error="the conductor failed"))
    evidence = read_evidence(tmp_path)
    assert (evidence.end_how, evidence.end_error, evidence.interrupted_by) == ("complete", None, None)
    (run,) = evidence.attempts
    assert (run.end_how, run.end_error, run.interrupted_by, run.end_ns) == (
        how,
        "the conductor failed",
        "SIGINT",
        at(30),
    )


@pytest.mark.parametrize("kind", ["operations", "wire"])
def test_what_is_missing_of_a_second_run_is_lost_there(tmp_path: Path, kind: str) -> None:
    """A segment shorter than its record says is lost evidence of that run, and of no other."""
    recorded(tmp_path)
    path = tmp_path / segment_file(kind, 1)
    path.write_bytes(path.read_bytes()[:-1])
    evidence = read_evidence(tmp_path)
    first, second = evidence.attempts
    assert (evidence.lost, second.lost) == ((), ())
    assert len(first.lost) == 1
    assert any(path.name in note for note in first.notes)


def test_a_damaged_event_is_lost_to_every_run(tmp_path: Path) -> None:
    """Nobody knows whose it was."""
    recorded(tmp_path)
    path = tmp_path / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = b"{damaged}\n"
    path.write_bytes(b"".join(lines))
    evidence = read_evidence(tmp_path)
    assert [[one.what for one in run.lost] for run in (evidence, *evidence.attempts)] == 3 * [["events"]]


def test_segments_of_a_second_run_that_cannot_be_made_leave_the_first_ones_alone(tmp_path: Path) -> None:
    """Without room for its own the second run has not begun, and the record goes on."""
    with open_journal(tmp_path) as journal:
        first_run(journal)
        (tmp_path / segment_file(SEGMENTS[1], 1)).touch()
        with pytest.raises(JournalError, match="was recorded here already"):
            second_run(journal, 1, 20)
        journal.write(RunEnded(t_ns=at(21), how="complete"))
    evidence = read_evidence(tmp_path)
    assert (evidence.attempts, evidence.end_how, evidence.lost) == ((), "complete", ())
    assert len(evidence.operations) == len(sample_operations())
