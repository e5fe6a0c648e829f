"""The reader: cut anywhere, killed at any moment, of another format or no journal at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.errors import JournalError
from chaos.journal import CUT_OFF, JournalReader, read_evidence
from chaos.model.evidence import Evidence
from tests.journal.build import record_sample, sample_effects, sample_operations, sample_wire


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole record, not to be changed."""
    return record_sample(tmp_path_factory.mktemp("recorded") / "run")


def _cut(recorded: Path, folder: Path, name: str, size: int) -> Path:
    if not folder.exists():
        shutil.copytree(recorded, folder)
    (folder / name).write_bytes((recorded / name).read_bytes()[:size])
    return folder


def test_a_journal_cut_at_any_byte_reads_to_its_last_whole_event(recorded: Path, tmp_path: Path) -> None:
    """For every length of the file: as many events as it has whole lines, and the rest is told as torn."""
    content = (recorded / "journal.jsonl").read_bytes()
    first = content.index(b"\n") + 1
    folder = _cut(recorded, tmp_path / "cut", "journal.jsonl", 0)
    for size in range(len(content) + 1):
        (folder / "journal.jsonl").write_bytes(content[:size])
        reader = JournalReader(folder)
        if size < first:
            with pytest.raises(JournalError, match="before its first whole event"):
                reader.start()
            continue
        whole = content[:size].count(b"\n")
        assert len(list(reader.events())) == whole
        assert reader.torn_bytes == size - (content[:size].rindex(b"\n") + 1)
        assert (reader.damaged, reader.strange) == (0, 0)


def _segment(evidence: Evidence, name: str) -> tuple[list[Any], list[Any], str]:
    """What was read of a segment, what was recorded in it, and what its records are called when they are lost."""
    return {
        "operations.msgpack": (list(evidence.operations), sample_operations(), "operations"),
        "wire.msgpack": (list(evidence.wire), sample_wire(), "wire records"),
        "effects.msgpack": (list(evidence.effects), sample_effects(), "stored effects"),
    }[name]


@pytest.mark.parametrize("name", ["operations.msgpack", "wire.msgpack", "effects.msgpack"])
@given(data=st.data())
@settings(max_examples=40)
def test_a_segment_cut_at_any_byte_reads_to_its_last_whole_batch(
    recorded: Path, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """What is read is a prefix, in whole batches; less than the record promised is evidence lost."""
    whole = (recorded / name).read_bytes()
    size = data.draw(st.integers(0, len(whole)))
    evidence = read_evidence(_cut(recorded, tmp_path_factory.mktemp("cut") / "run", name, size))
    read, full, called = _segment(evidence, name)
    assert read == full[: len(read)]
    assert bool(evidence.lost) == (size < len(whole))
    if evidence.lost:
        assert evidence.lost[0].what == called
        assert evidence.lost[0].count == len(full) - len(read)


def test_every_cut_of_the_journal_assembles(recorded: Path, tmp_path: Path) -> None:
    """After each whole event there is evidence to judge, and a record without its end is called cut off."""
    lines = (recorded / "journal.jsonl").read_bytes().splitlines(keepends=True)
    folder = _cut(recorded, tmp_path / "cut", "journal.jsonl", 0)
    for count in range(1, len(lines) + 1):
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:count]) + b'{"event":')
        evidence = read_evidence(folder)
        assert evidence.end_how == ("complete" if count == len(lines) else CUT_OFF)
        assert any("never finished" in note for note in evidence.notes)
        assert evidence.end_ns >= evidence.start_ns


def test_damage_in_the_middle_loses_only_what_it_hit(recorded: Path, tmp_path: Path) -> None:
    """A line or a batch that does not decode is skipped, counted and told as lost evidence."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines[5] = b"\x00\xff garbage\n"
    lines[6] = b'{"event":"FromTheFuture","t_ns":1}\n'
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    operations = bytearray((folder / "operations.msgpack").read_bytes())
    operations[4] = 0xC1  # a byte that msgpack never uses
    (folder / "operations.msgpack").write_bytes(operations)
    evidence = read_evidence(folder)
    assert len(evidence.operations) == 100
    assert {one.what for one in evidence.lost} == {"events", "operations"}
    assert any("does not know" in note for note in evidence.notes)


def test_effects_that_are_damaged_are_lost_and_nothing_else_is(recorded: Path, tmp_path: Path) -> None:
    """A batch of effects that does not decode costs its ten records, and no operation."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    effects = bytearray((folder / "effects.msgpack").read_bytes())
    effects[4] = 0xC1
    (folder / "effects.msgpack").write_bytes(effects)
    evidence = read_evidence(folder)
    assert list(evidence.effects) == sample_effects()[10:]
    assert list(evidence.operations) == sample_operations()
    assert {one.what for one in evidence.lost} == {"stored effects"}


def test_a_record_without_a_segment_of_effects_has_none(recorded: Path, tmp_path: Path) -> None:
    """Runs before there was a ledger: nothing was read back, which is not the same as nothing stored."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    (folder / "effects.msgpack").unlink()
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    ledger = (b'"Quiet"', b'"EffectsRead"', b'"effects"')
    (folder / "journal.jsonl").write_bytes(b"".join(one for one in lines if not any(word in one for word in ledger)))
    evidence = read_evidence(folder)
    assert (evidence.effects, evidence.effect_reads, evidence.quiet, evidence.lost) == ((), (), None, ())


def test_a_length_that_is_damage_ends_the_segment(recorded: Path, tmp_path: Path) -> None:
    """An absurd length is never allocated; what comes before it is read."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    with (folder / "wire.msgpack").open("ab") as file:
        file.write(b"\xff\xff\xff\xff" + b"x" * 50)
    assert len(read_evidence(folder).wire) == len(sample_wire())


def _swap_first_line(recorded: Path, folder: Path, first: bytes) -> Path:
    shutil.copytree(recorded, folder)
    path = folder / "journal.jsonl"
    path.write_bytes(first + path.read_bytes().partition(b"\n")[2])
    return folder


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b'{"event":"RunStarted","format":99,"versions":{"chaos-drill":"9.1"}}\n', "format 99.*chaos-drill 9.1"),
        (b'{"event":"Note","t_ns":1,"text":"x"}\n', "begins with 'Note'"),
        (b"[1,2]\n", "no journal of a run"),
        (b"\xff\xfe\n", "no journal of a run"),
        (b'{"event":"RunStarted","format":1,"t_ns":1}\n', "first event cannot be read"),
        (b"", "begins with 'PhaseStarted'"),
    ],
)
def test_other_formats_are_refused_kindly(recorded: Path, tmp_path: Path, first: bytes, says: str) -> None:
    """Whatever stands in the first line, the error is ours and says what is wrong."""
    with pytest.raises(JournalError, match=says):
        read_evidence(_swap_first_line(recorded, tmp_path / "run", first))


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    """No journal, no traceback."""
    with pytest.raises(JournalError, match="name the folder of a run"):
        read_evidence(tmp_path)


_WRITER = """
import os, sys, msgspec
from pathlib import Path
from chaos.journal import open_journal
from chaos.model.event import Note
from tests.journal.build import sample_events, sample_operation
with open_journal(Path(sys.argv[1])) as journal:
    journal.write(next(sample_events()))
    for n in range(10**9):
        journal.write(Note(t_ns=n, text="x" * (n % 700)))
        journal.operations([sample_operation(n, "rag", 3)])
        journal.wire(msgspec.msgpack.encode([(n, "open", "a>b", n)]))
        os.write(1, b"%d\\n" % n)
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 333])
def test_sigkill_loses_nothing_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    """A writer killed while it writes: every event and batch it said was written is in the record."""
    argv = [sys.executable, "-c", _WRITER, str(tmp_path / "run")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        for _ in range(acknowledged):
            assert child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
        last = acknowledged - 1 + child.stdout.read().count(b"\n")
    evidence = read_evidence(tmp_path / "run")
    assert evidence.end_how == CUT_OFF
    assert sum(1 for note in evidence.notes if set(note) <= {"x"}) > last
    assert [one.index for one in evidence.operations[: last + 1]] == list(range(last + 1))
    assert [one.connection for one in evidence.wire[: last + 1]] == list(range(last + 1))


def test_reading_holds_one_batch_at_a_time(recorded: Path) -> None:
    """Batches come one by one, so that a caller may stop after the first."""
    with contextlib.closing(JournalReader(recorded).operations()) as batches:  # type: ignore[type-var]
        assert len(next(batches)) == 20


def test_fields_of_a_newer_version_are_ignored(recorded: Path, tmp_path: Path) -> None:
    """A record with more fields than we know reads all the same."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"event":"Note","t_ns":1,"text":"later","colour":"blue"}\n')
    batch = msgspec.msgpack.encode([[1, "open", "a>b", *range(40)]][:1])
    newer = msgspec.msgpack.encode([[*msgspec.to_builtins(sample_wire()[0]), "more"]])
    with (folder / "wire.msgpack").open("ab") as file:
        file.write(len(newer).to_bytes(4) + newer)
        file.write(len(batch).to_bytes(4) + batch)
    evidence = read_evidence(folder)
    assert "later" in evidence.notes
    assert len(evidence.wire) == len(sample_wire()) + 1


def test_text_that_is_no_utf8_is_damage_like_any_other(recorded: Path, tmp_path: Path) -> None:
    """A flipped byte in a string costs its batch, and in the first record the whole: neither is a crash."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    broken = msgspec.msgpack.encode([msgspec.to_builtins(sample_operations()[0])]).replace(b"rag", b"r\xcfg")
    with (folder / "operations.msgpack").open("ab") as file:
        file.write(len(broken).to_bytes(4) + broken)
    evidence = read_evidence(folder)
    assert len(evidence.operations) == len(sample_operations())
    assert any("1 batches of operations.msgpack are damaged" in note for note in evidence.notes)
    first, rest = (folder / "journal.jsonl").read_bytes().split(b"\n", 1)
    (folder / "journal.jsonl").write_bytes(first.replace(b"quickstart", b"quick\xf7tart", 1) + b"\n" + rest)
    with pytest.raises(JournalError, match="journal"):
        read_evidence(folder)


@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused(recorded: Path, tmp_path: Path) -> None:
    """A FIFO in a record from somebody else: nobody waits for its writer."""
    folder = tmp_path / "run"
    shutil.copytree(recorded, folder)
    (folder / "wire.msgpack").unlink()
    os.mkfifo(folder / "wire.msgpack")
    with pytest.raises(JournalError, match="is no file"):
        read_evidence(folder)
