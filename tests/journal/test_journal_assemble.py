"""From events, operations and wire records to evidence."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.journal import read_evidence
from chaos.journal.intervals import FaultTimes
from chaos.model.event import FaultArmed, FaultEnded, FaultStarted, PhaseName
from chaos.model.wire_record import WireRecord
from tests.journal.build import (
    START_NS,
    WALL_NS,
    at,
    record_sample,
    sample_effects,
    sample_operations,
    sample_plan,
    sample_wire,
)


def test_a_whole_run_is_whole(tmp_path: Path) -> None:
    """Everything that was recorded is in the evidence, nothing else."""
    evidence = read_evidence(record_sample(tmp_path))
    assert evidence.plan == sample_plan()
    assert list(evidence.operations) == sample_operations()
    assert list(evidence.wire) == sample_wire()
    assert list(evidence.effects) == sample_effects()
    assert [(one.effect, one.count, one.error) for one in evidence.effect_reads] == [
        ("document", 30, None), ("announcement", 0, "nats could not be reached"),
    ]  # fmt: skip
    assert evidence.quiet is not None
    assert (evidence.quiet.reached, evidence.quiet.left) == (True, ())
    assert (evidence.end_how, evidence.end_error, evidence.lost) == ("complete", None, ())
    assert (evidence.start_ns, evidence.start_wall_ns, evidence.end_ns) == (START_NS, WALL_NS, at(16))
    assert evidence.baseline is not None
    assert evidence.baseline.medians_ms == {"rag": 30.0}
    assert [one.started for one in evidence.loads] == [30]
    assert evidence.notes == ("rag answered slowly at first",)


def test_phases_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    """Each phase ends where the next begins, the last one at the end of the run."""
    phases = read_evidence(record_sample(tmp_path)).phases
    assert [one.phase for one in phases][:2] == [PhaseName.BRING_UP, PhaseName.BASELINE]
    assert all(one.end_ns == following.start_ns for one, following in itertools.pairwise(phases))
    assert phases[-1].end_ns == at(16)


def test_a_clock_step_is_the_largest_change_of_wall_minus_monotonic(tmp_path: Path) -> None:
    """The sample's second reading is 2 ms off the first."""
    assert read_evidence(record_sample(tmp_path)).clock_stepped_ms == 2.0


def test_the_proxys_times_win(tmp_path: Path) -> None:
    """Onset and heal are the wire log's, the plan is kept beside them, and how it ended is told."""
    slow, gone, idle = read_evidence(record_sample(tmp_path)).faults
    assert (slow.fault, slow.link, slow.how) == ("slow-postgres", "rag>postgres", "ended")
    assert (slow.onset_ns, slow.heal_ns) == (at(6.1001), at(10.1003))
    assert (slow.planned_start_ns, slow.planned_end_ns) == (at(6.1), at(10.1))
    assert (gone.fault, idle.fault) == ("provider-gone", "nats-reset")


def _armed(t_ns: int, start_ns: int, end_ns: int) -> FaultArmed:
    return FaultArmed(t_ns=t_ns, fault="f", link="a>b", start_ns=start_ns, end_ns=end_ns)


def test_a_fault_that_never_began_has_no_onset() -> None:
    """An armed fault without a record of its onset keeps its plan and nothing more."""
    times = FaultTimes()
    times.event(_armed(1, 10, 20))
    (one,) = times.intervals()
    assert (one.onset_ns, one.heal_ns, one.how, one.planned_start_ns) == (None, None, "", 10)


def test_the_conductors_word_stands_where_the_proxy_is_silent() -> None:
    """A proxy that went away leaves the conductor's FaultEnded as the end."""
    times = FaultTimes()
    times.wire(WireRecord(11, "on", "a>b", faults=("f",)))
    times.event(_armed(1, 10, 20))
    times.event(FaultStarted(t_ns=12, fault="f", link="a>b"))
    times.event(FaultEnded(t_ns=15, fault="f", link="a>b", how="proxy-gone"))
    (one,) = times.intervals()
    assert (one.onset_ns, one.heal_ns, one.how) == (11, 15, "proxy-gone")


def test_a_fault_armed_again_later_is_a_second_interval() -> None:
    """Attempts to confirm a finding stand in the same journal, each with its own times."""
    times = FaultTimes()
    for start in (10, 110):
        times.event(_armed(start - 5, start, start + 10))
        times.event(_armed(start - 4, start, start + 10))  # asked for twice: still one
        times.wire(WireRecord(start + 1, "on", "a>b", faults=("f",)))
        times.wire(WireRecord(start + 11, "off", "a>b", faults=("f",), status="ended"))
    assert [(one.onset_ns, one.heal_ns) for one in times.intervals()] == [(11, 21), (111, 121)]


def test_a_fault_that_was_never_armed_is_told_all_the_same() -> None:
    """A record that lost the arming still shows what the proxy saw."""
    times = FaultTimes()
    times.wire(WireRecord(11, "on", "a>b", faults=("f",)))
    (one,) = times.intervals()
    assert (one.onset_ns, one.heal_ns) == (11, None)


@given(st.permutations([("armed", 5), ("on", 11), ("off", 21), ("ended", 30)]))
def test_the_order_of_reading_does_not_matter(order: list[tuple[str, int]]) -> None:
    """Segments are read after the journal: intervals depend on times, never on the order of arrival."""
    times = FaultTimes()
    for kind, t_ns in order:
        if kind == "armed":
            times.event(_armed(t_ns, 10, 20))
        elif kind == "ended":
            times.event(FaultEnded(t_ns=t_ns, fault="f", link="a>b", how="healed"))
        else:
            times.wire(WireRecord(t_ns, kind, "a>b", faults=("f",), status="lease" if kind == "off" else ""))
    (one,) = times.intervals()
    assert (one.onset_ns, one.heal_ns, one.how) == (11, 21, "lease")


@pytest.mark.parametrize("told", [False, True])
def test_records_the_proxy_dropped_are_lost_evidence(tmp_path: Path, told: bool) -> None:
    """A `lost` record becomes EvidenceLost with its count, once, also when the conductor told of it."""
    import msgspec

    from chaos.journal import open_journal
    from chaos.model.event import EvidenceLost
    from tests.journal.build import sample_events

    with open_journal(tmp_path) as journal:
        journal.write(next(sample_events()))
        if told:
            journal.write(EvidenceLost(t_ns=at(3), what="wire records of rag>postgres", count=17))
        journal.wire(msgspec.msgpack.encode([(at(3), "lost", "rag>postgres", 0, 0, "", "", 17)]))
    (lost,) = read_evidence(tmp_path).lost
    assert (lost.what, lost.count, lost.t_ns) == ("wire records of rag>postgres", 17, at(3))
