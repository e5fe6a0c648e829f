"""The recorder: what is written, what is told, what makes it give up, and what it does without room on the disk."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from chaos.engine.recorder import Recorder
from chaos.errors import JournalError, ProxyError
from chaos.journal import Journal, open_journal, read_evidence
from chaos.ledger import Audit
from chaos.model.effect import StoredEffect
from chaos.model.event import (
    AnyEvent,
    EffectsRead,
    FaultArmed,
    FaultEnded,
    FaultStarted,
    Note,
    ProbesFinished,
    ProcessExited,
    Progress,
    Quiet,
    RunEnded,
    RunStarted,
)
from chaos.workloads.protocol import DriverFailed, Message, OperationsBatch
from tests.journal.build import sample_events, sample_operations, sample_wire


class Rig:
    """A recorder on a real journal, and everything it told."""

    def __init__(self, journal: Journal) -> None:
        self.told: list[AnyEvent] = []
        self.reasons: list[str] = []
        start = next(one for one in sample_events() if isinstance(one, RunStarted))
        only_rag = msgspec.structs.replace(start.plan, workloads=start.plan.workloads[:1])
        self.recorder = Recorder(journal, self.told.append, only_rag)
        self.recorder.give_up = self.reasons.append
        self.recorder.begin(start)


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """A record that has begun, ended as complete."""
    with open_journal(folder) as journal:
        made = Rig(journal)
        yield made
        made.recorder.emit(RunEnded(t_ns=9, how="complete"))


async def stream(*items: bytes | Message | Exception) -> AsyncIterator[bytes | Message]:
    """A source that yields these and ends, or fails."""
    for one in items:
        if isinstance(one, Exception):
            raise one
        yield one


async def test_faults_are_told_from_the_wire(tmp_path: Path) -> None:
    """Batches are stored as they came; onset and end of faults become events."""
    records = [one for one in sample_wire() if one.kind in {"on", "off"}]
    with rig(tmp_path / "run") as made:
        await made.recorder.follow_wire(stream(msgspec.msgpack.encode(sample_wire())))  # type: ignore[arg-type]
    starts = [one for one in made.told if isinstance(one, FaultStarted)]
    ends = [one for one in made.told if isinstance(one, FaultEnded)]
    assert len(starts) + len(ends) == sum(len(one.faults) for one in records) > 0
    assert list(read_evidence(tmp_path / "run").wire) == sample_wire()


async def test_a_wire_log_that_breaks_off_is_lost_evidence(tmp_path: Path) -> None:
    """The run goes on, and its record says so."""
    with rig(tmp_path / "run") as made:
        await made.recorder.follow_wire(stream(ProxyError("broke off")))  # type: ignore[arg-type]
    assert [one.what for one in read_evidence(tmp_path / "run").lost] == ["the wire log: broke off"]


async def test_the_drivers_operations_and_probes_are_taken(tmp_path: Path) -> None:
    """Operations are stored, probes release who waits for them."""
    done = ProbesFinished(t_ns=1, workload="rag", passed=True, in_a_row=3, sent=3)
    with rig(tmp_path / "run") as made:
        batch = OperationsBatch(operations=tuple(sample_operations()))
        await made.recorder.follow_driver(stream(batch, done))  # type: ignore[arg-type]
    assert made.recorder.probed.is_set()
    assert list(read_evidence(tmp_path / "run").operations) == sample_operations()
    assert made.reasons == []


async def test_a_driver_that_fails_ends_the_run(tmp_path: Path) -> None:
    """Nobody waits for probes that will never come."""
    with rig(tmp_path / "run") as made:
        await made.recorder.follow_driver(stream(DriverFailed(reason="no memory")))  # type: ignore[arg-type]
    assert made.reasons == ["the load driver failed: no memory"]
    assert made.recorder.probed.is_set()


@pytest.mark.parametrize(
    ("name", "expected", "gives_up"),
    [
        ("proxy", False, True),
        ("postgres", False, True),
        ("nats", False, True),
        ("rag", False, False),
        ("proxy", True, False),
    ],
)
def test_a_part_of_ours_that_dies_ends_the_run(tmp_path: Path, name: str, expected: bool, gives_up: bool) -> None:
    """A service of the system may die: that is what is judged. What we brought along may not."""
    with rig(tmp_path / "run") as made:
        made.recorder.emit(ProcessExited(t_ns=5, name=name, code=-9, expected=expected))
    assert bool(made.reasons) == gives_up


@pytest.mark.parametrize("expected", [True, False])
def test_faults_end_with_their_proxy(tmp_path: Path, expected: bool) -> None:
    """A fault that was armed and never seen to end cannot outlive the process it lived in; one that ended is left alone."""
    with rig(tmp_path / "run") as made:
        for fault in ("slow", "gone"):
            made.recorder.emit(FaultArmed(t_ns=1, fault=fault, link="a>b", start_ns=2, end_ns=9))
        made.recorder.emit(FaultEnded(t_ns=3, fault="gone", link="a>b", how="healed"))
        made.recorder.emit(ProcessExited(t_ns=5, name="proxy", code=-9, expected=expected))
    found = {one.fault: (one.heal_ns, one.how) for one in read_evidence(tmp_path / "run").faults if one.link == "a>b"}
    assert (found["slow"], found["gone"]) == ((5, "proxy-gone"), (3, "healed"))


def test_an_audit_is_recorded_whole(tmp_path: Path) -> None:
    """More effects than one batch holds, how reading them went, and whether the stores were at rest."""
    effects = tuple(StoredEffect(effect="row", op_id=f"op-{n}", count=1 + n % 2) for n in range(1234))
    reads = (EffectsRead(t_ns=8, effect="row", count=1851), EffectsRead(t_ns=8, effect="message", error="gone"))
    quiet = Quiet(t_ns=7, reached=False, waited_ms=25_000, left=("1 in outbox",))
    with rig(tmp_path / "run") as made:
        made.recorder.record_audit(Audit(quiet=quiet, reads=reads, effects=effects))
    evidence = read_evidence(tmp_path / "run")
    assert (evidence.effects, evidence.effect_reads, evidence.quiet) == (effects, reads, quiet)
    assert [type(one) for one in made.told[1:4]] == [Quiet, EffectsRead, EffectsRead]


async def test_effects_that_find_no_room_are_lost(tmp_path: Path) -> None:
    """The record says so: what was not written down cannot be counted."""
    effects = tuple(StoredEffect(effect="row", op_id=f"op-{n}") for n in range(600))
    quiet = Quiet(t_ns=7, reached=True, waited_ms=1)
    with rig(tmp_path / "run") as made:
        with no_room(tmp_path / "run" / "journal.jsonl"):
            made.recorder.record_audit(Audit(quiet=quiet, reads=(), effects=effects))
        made.recorder.emit(Note(t_ns=8, text="room again"))
    assert {one.what: one.count for one in read_evidence(tmp_path / "run").lost} == {
        "events that could not be written": 1, "stored effects that could not be written": 600,
    }  # fmt: skip


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """No file of this process may grow beyond what this one has: as on a full disk, writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_ends_the_run_and_never_raises(tmp_path: Path) -> None:
    """Healing must go on without a record; what was lost is told once there is room, and nothing holds."""
    with rig(tmp_path / "run") as made:
        with no_room(tmp_path / "run" / "journal.jsonl"):
            made.recorder.emit(Note(t_ns=1, text="one"))
            made.recorder.emit(Note(t_ns=2, text="two"))
            made.recorder.emit(Progress(t_ns=2, per_s=1, ok=1, errors=0, unanswered=0, in_flight=0))
        made.recorder.emit(Note(t_ns=3, text="three"))
    evidence = read_evidence(tmp_path / "run")
    assert "cannot be written" in made.reasons[0]
    assert evidence.notes == ("three",)
    assert [(one.what, one.count) for one in evidence.lost] == [("events that could not be written", 2)]


def test_a_record_that_cannot_begin_is_an_error(tmp_path: Path) -> None:
    """Before anything was started there is nothing to heal."""
    probe = tmp_path / "empty"
    probe.touch()
    with pytest.raises(JournalError, match="cannot be written"), no_room(probe), rig(tmp_path / "run"):
        raise AssertionError("it began")
