"""The writer of a run's record: one line per event in `journal.jsonl`; operations, wire records and effects in batches beside it.

Every call returns after the operating system has the bytes; none waits for the disk, so the conductor's loop may call it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from chaos.errors import JournalError
from chaos.journal.append import AppendOnly
from chaos.journal.names import JOURNAL_FILE, SEGMENTS, segment_file
from chaos.journal.redaction import RedactBytes, RedactText, redact_batch, redact_record
from chaos.journal.segment import SegmentWriter, count_records
from chaos.model.effect import StoredEffect
from chaos.model.event import AnyEvent, AttemptStarted, Event, Progress, RunEnded, RunStarted
from chaos.model.operation import Operation

__all__ = ["Journal", "open_journal"]

_Event = TypeVar("_Event", bound=Event)
_Records = Sequence[Operation] | Sequence[StoredEffect]
_WIRE_KIND_AT = 1  # index of `kind` in a WireRecord: a word of the format


class Journal:
    """An open journal. The first event must be `RunStarted`; after `RunEnded` nothing more is taken."""

    def __init__(self, folder: Path, redact_text: RedactText | None, redact_bytes: RedactBytes | None) -> None:
        """Use `open_journal`. Raises JournalError if a run was recorded in this folder before."""
        self.folder = folder
        self.started = False
        self.ended = False
        self._redact_text = redact_text
        self._redact_bytes = redact_bytes
        self._decoder = msgspec.json.Decoder(AnyEvent)
        self._events = AppendOnly(folder / JOURNAL_FILE)
        self._segments = self._open_segments(0)

    def __repr__(self) -> str:
        state = "ended" if self.ended else "open" if self.started else "new"
        records = f"{self._segments['operations'].records} operations, {self._segments['wire'].records} wire records"
        return f"<Journal {self.folder.name} {state}, {self._events.nbytes} bytes, {records}>"

    def write(self, event: _Event) -> _Event:
        """Append one event; answer it as it was stored, redacted, which is what may be shown.

        `Progress` is for the live view and is not stored; `RunEnded` closes the segments first, `AttemptStarted` opens new ones as well.
        Raises JournalError when the record is over, begins with something else than `RunStarted`, or cannot be written.
        """
        if isinstance(event, Progress):
            return event
        self._admit(event)
        if isinstance(event, AttemptStarted):
            self._begin_attempt(event)
        elif isinstance(event, RunEnded):
            self._close_segments(event.t_ns)
            self.ended = True
        return self._append(event)

    def operations(self, batch: Sequence[Operation]) -> None:
        """Append a batch of operations. Raises JournalError when the record is over or cannot be written."""
        self._batch(self._segments["operations"], batch)

    def effects(self, batch: Sequence[StoredEffect]) -> None:
        """Append a batch of effects that were read back. Raises JournalError like `operations`."""
        self._batch(self._segments["effects"], batch)

    def wire(self, payload: bytes) -> None:
        """Append a batch of wire records as the proxy encoded it: one msgpack array. Raises JournalError like `operations`."""
        self._admit(None)
        count_records(payload)
        self._segments["wire"].append(self._redacted(payload))

    def end(self, how: str, error: str | None = None) -> None:
        """Write the terminal event, now, unless it is there already: `complete`, `interrupted` or `failed`."""
        if not self.ended:
            self.write(RunEnded(t_ns=time.monotonic_ns(), how=how, error=error))

    def _admit(self, event: Event | None) -> None:
        if self.ended:
            raise JournalError(f"{self.folder}: the record of this run is closed; write before RunEnded")
        if isinstance(event, RunStarted) == self.started and event is not None and not isinstance(event, RunEnded):
            raise JournalError(f"{self.folder}: a record begins with RunStarted, once; got {type(event).__name__}")

    def _begin_attempt(self, event: AttemptStarted) -> None:
        fresh = self._open_segments(event.number)  # nothing of a second run may get into those of the first
        self._close_segments(event.t_ns)
        self._segments = fresh

    def _open_segments(self, attempt: int) -> dict[str, SegmentWriter]:
        opened: dict[str, SegmentWriter] = {}
        try:
            for kind in SEGMENTS:
                opened[kind] = SegmentWriter(self.folder / segment_file(kind, attempt), kind)
        except JournalError:
            for segment in opened.values():
                segment.close()
            raise
        return opened

    def _close_segments(self, t_ns: int) -> None:
        for segment in self._segments.values():
            self._append(segment.closed(t_ns))

    def _batch(self, segment: SegmentWriter, batch: _Records) -> None:
        self._admit(None)
        redact = self._redact_text
        clean = batch if redact is None else [redact_record(one, redact) for one in batch]
        try:
            payload = msgspec.msgpack.encode(clean)
        except UnicodeEncodeError:
            payload = msgspec.msgpack.encode([redact_record(one, _encodable) for one in clean])
        segment.append(payload)

    def _append(self, event: _Event) -> _Event:
        clean = event if self._redact_text is None else redact_record(event, self._redact_text)
        try:
            line = msgspec.json.encode(clean)
        except UnicodeEncodeError:
            clean = redact_record(clean, _encodable)
            line = msgspec.json.encode(clean)
        try:
            # What cannot be read back was never recorded: nan and infinity, for one, have no JSON.
            self._decoder.decode(line)
        except msgspec.DecodeError as error:
            raise JournalError(f"{self.folder}: {type(event).__name__} cannot be stored: {error}") from error
        self._events.append(line + b"\n")
        self.started = True
        return clean

    def _redacted(self, payload: bytes) -> bytes:
        if self._redact_text is None or (self._redact_bytes is not None and self._redact_bytes(payload) == payload):
            return payload
        try:
            return redact_batch(payload, self._redact_text, keep=_WIRE_KIND_AT)
        except (msgspec.DecodeError, TypeError) as error:
            raise JournalError(f"{self.folder}: a wire batch cannot be read, so it is not stored: {error}") from error

    def _close(self) -> None:
        for segment in self._segments.values():
            segment.close()
        self._events.close()


def _encodable(text: str) -> str:
    """Text without lone surrogates, which have no UTF-8: file names and broken JSON bring them along."""
    return text.encode("utf-8", "replace").decode()


@contextlib.contextmanager
def open_journal(
    folder: Path, *, redact_text: RedactText | None = None, redact_bytes: RedactBytes | None = None
) -> Iterator[Journal]:
    """Record a run in this folder (made if need be). On every path out, the last record is `RunEnded`.

    Every string of every record goes through `redact_text`. `redact_bytes` only spares work: a wire batch that it leaves as it is
    holds no secret and is stored as it came. Raises JournalError if the folder holds a record already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder, redact_text, redact_bytes)
    try:
        yield journal
    except BaseException as error:
        # The terminal event is an invariant of the file; the error itself goes on, also when the disk takes no more.
        interrupted = isinstance(error, asyncio.CancelledError | KeyboardInterrupt)
        with contextlib.suppress(JournalError):
            journal.end("interrupted" if interrupted else "failed", f"{type(error).__name__}: {error}".rstrip(": "))
        raise
    else:
        journal.end("failed", "the run was left before it ended")
    finally:
        journal._close()  # noqa: SLF001 (the file's lifetime is this block)
