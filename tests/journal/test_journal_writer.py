"""The writer: what it accepts, what it acknowledges, and what it never lets into a file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from chaos.errors import JournalError
from chaos.journal import JournalReader, open_journal, read_evidence
from chaos.model.event import BaselineJudged, Note, Progress, RunEnded, SegmentClosed
from tests.journal.build import START_NS, at, record_sample, sample_events, sample_operations


def test_a_record_ends_with_its_segments_and_run_ended(tmp_path: Path) -> None:
    """The last records of a whole run name each segment with its size, then end it."""
    record_sample(tmp_path)
    *_, operations, wire, effects, ended = JournalReader(tmp_path).events()
    assert isinstance(operations, SegmentClosed)
    assert isinstance(wire, SegmentClosed)
    assert isinstance(effects, SegmentClosed)
    assert (effects.kind, effects.name, effects.records) == ("effects", "effects.msgpack", 29)
    assert (operations.kind, operations.records) == ("operations", 120)
    assert (wire.kind, wire.records, wire.nbytes) == ("wire", 7, (tmp_path / "wire.msgpack").stat().st_size)
    assert ended == RunEnded(t_ns=at(16), how="complete")


@pytest.mark.parametrize(
    ("error", "how"), [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(3), "failed")]
)
def test_the_last_record_is_run_ended_on_every_path(tmp_path: Path, error: BaseException, how: str) -> None:
    """An error that leaves the block goes on, and the record still ends with how and why."""
    with pytest.raises(type(error)), open_journal(tmp_path) as journal:  # noqa: PT012 (the block is what is left)
        journal.write(next(sample_events()))
        raise error
    *_, ended = JournalReader(tmp_path).events()
    assert isinstance(ended, RunEnded)
    assert ended.how == how
    assert type(error).__name__ in (ended.error or "")


def test_a_run_that_is_left_without_an_end_is_failed(tmp_path: Path) -> None:
    """Leaving the block without a terminal event is told as a failure, never as complete."""
    evidence = read_evidence(record_sample(tmp_path, end=False))
    assert evidence.end_how == "failed"
    assert evidence.end_error == "the run was left before it ended"


def test_every_event_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    """Nothing waits in a buffer of ours: another reader sees each event at once."""
    with open_journal(tmp_path) as journal:
        for count, event in enumerate(sample_events(), start=1):
            journal.write(event)
            assert len(list(JournalReader(tmp_path).events())) == count


def test_progress_is_not_stored(tmp_path: Path) -> None:
    """Progress is for the live view only."""
    with open_journal(tmp_path) as journal:
        journal.write(next(sample_events()))
        size = (tmp_path / "journal.jsonl").stat().st_size
        journal.write(Progress(t_ns=at(1), per_s=1, ok=1, errors=0, unanswered=0, in_flight=0))
        assert (tmp_path / "journal.jsonl").stat().st_size == size


def test_order_is_kept(tmp_path: Path) -> None:
    """A record begins with RunStarted, once, and takes nothing after its end."""
    started, note = next(sample_events()), Note(t_ns=at(1), text="x")
    with open_journal(tmp_path) as journal:
        with pytest.raises(JournalError, match="begins with RunStarted"):
            journal.write(note)
        journal.write(started)
        with pytest.raises(JournalError, match="begins with RunStarted, once"):
            journal.write(started)
        journal.write(RunEnded(t_ns=at(2), how="complete"))
        for late in (
            lambda: journal.write(note),
            lambda: journal.operations([]),
            lambda: journal.wire(b"\x90"),
            lambda: journal.effects([]),
        ):
            with pytest.raises(JournalError, match="closed"):
                late()


def test_a_folder_holds_one_record(tmp_path: Path) -> None:
    """A second run never appends to, or overwrites, the record of the first."""
    record_sample(tmp_path)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(JournalError, match="recorded here already"), open_journal(tmp_path):
        pass
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_what_cannot_be_read_back_is_refused(tmp_path: Path) -> None:
    """A not-a-number has no JSON: the writer says so instead of storing an event nobody can read."""
    with open_journal(tmp_path) as journal:
        journal.write(next(sample_events()))
        with pytest.raises(JournalError, match="BaselineJudged cannot be stored"):
            journal.write(
                BaselineJudged(t_ns=1, steady=True, reason="", operations=1, medians_ms={"rag": float("nan")})
            )
        with pytest.raises(JournalError, match="one msgpack array"):
            journal.wire(msgspec.msgpack.encode({"no": "array"}))
    assert read_evidence(tmp_path).baseline is None


def test_a_full_disk_leaves_whole_records_only(tmp_path: Path) -> None:
    """When the system takes only part of an event, that part is cut off again and the error names the file."""
    import resource

    record_sample(tmp_path / "whole")
    size = (tmp_path / "whole" / "journal.jsonl").stat().st_size
    pid = os.fork()
    if pid == 0:  # in a child: the limit would bind the whole test process
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 300, size - 300))
        try:
            record_sample(tmp_path / "full")
        except JournalError as error:
            os._exit(0 if "cannot be written" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    content = (tmp_path / "full" / "journal.jsonl").read_bytes()
    assert content.endswith(b"}\n")
    assert len(content) < size


def test_secrets_reach_no_file(tmp_path: Path) -> None:
    """Free text in events, operations and wire records is redacted, also a secret that looks different once encoded."""
    secret = 'pa"ss\\wörd'
    with open_journal(tmp_path, redact_text=lambda text: text.replace(secret, "[redacted]")) as journal:
        journal.write(next(sample_events()))
        shown = journal.write(Note(t_ns=at(1), text=f"dsn {secret}"))
        assert shown == Note(t_ns=at(1), text="dsn [redacted]")
        one = sample_operations()[0]
        leaking = msgspec.structs.replace(one.answer, detail=f"login with {secret} failed")
        journal.operations([msgspec.structs.replace(one, answer=leaking)])
        journal.wire(msgspec.msgpack.encode([(at(1), "request", "a>b", 1, 1, ">", f"GET /{secret}")]))
    whole = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"pa" + b'"ss' not in whole
    assert "wörd".encode() not in whole
    evidence = read_evidence(tmp_path)
    assert evidence.notes[0] == "dsn [redacted]"
    assert evidence.operations[0].answer.detail == "login with [redacted] failed"
    assert evidence.wire[0].signature == "GET /[redacted]"


@pytest.mark.parametrize("secret", ["RunStarted", "baseline", "latency", "ok", "on", "event"])
def test_a_secret_that_is_a_word_of_the_format_breaks_nothing(tmp_path: Path, secret: str) -> None:
    """Somebody's environment may hold such a password; the record stays readable."""
    record_sample(tmp_path, redact=lambda text: text.replace(secret, "[redacted]"))
    evidence = read_evidence(tmp_path)
    assert len(evidence.operations) == 120
    assert len(evidence.phases) == 7
    assert evidence.faults[0].onset_ns is not None


def test_a_wire_batch_without_secrets_is_stored_as_it_came(tmp_path: Path) -> None:
    """The quick check on bytes spares decoding; the stored bytes are the proxy's own."""
    payload = msgspec.msgpack.encode([(START_NS, "open", "a>b")])
    with open_journal(tmp_path, redact_text=lambda _: "never called", redact_bytes=lambda data: data) as journal:
        journal.write(next(sample_events()))
        journal.wire(payload)
    assert (tmp_path / "wire.msgpack").read_bytes() == len(payload).to_bytes(4) + payload


def test_text_that_has_no_utf_8_is_stored_all_the_same(tmp_path: Path) -> None:
    """A lone surrogate, from a file name or broken JSON, costs a character and not the event."""
    with open_journal(tmp_path) as journal:
        journal.write(next(sample_events()))
        journal.write(Note(t_ns=at(1), text="a\ud800b"))
        journal.operations([msgspec.structs.replace(sample_operations()[0], name="a\udcffb")])
    evidence = read_evidence(tmp_path)
    assert evidence.notes == ("a?b",)
    assert evidence.operations[0].name == "a?b"
