"""The reader of a run's record: to the last whole event and batch, one at a time; what it cannot read it reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from chaos.errors import JournalError
from chaos.journal.names import JOURNAL_FILE, MAX_LINE_BYTES, segment_file
from chaos.journal.segment import SegmentReader
from chaos.model.effect import StoredEffect
from chaos.model.event import JOURNAL_FORMAT, AnyEvent, Event, RunStarted
from chaos.model.operation import Operation
from chaos.model.wire_record import WireRecord

__all__ = ["JournalReader"]


class _Head(msgspec.Struct):
    """What any format's first record must tell, read before the rest of it is trusted."""

    event: str = ""
    format: int = 0
    versions: dict[str, Any] = {}


class JournalReader:
    """Reads the record in a run's folder. Iterating never loads more than one event or batch.

    After `events()` is through: `torn_bytes` follow the last whole event, `damaged` lines are no JSON, `strange` ones are events that
    this version does not know (a newer one wrote them). The segments tell the same of themselves.

    `attempt` is the number of a second run from 1, or 0 for the first run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.torn_bytes = 0
        self.damaged = 0
        self.strange = 0
        self._segments: dict[tuple[str, int], SegmentReader] = {}
        self._path = folder / JOURNAL_FILE

    def __repr__(self) -> str:
        return (
            f"<JournalReader {self.folder.name} torn {self.torn_bytes} damaged {self.damaged} strange {self.strange}>"
        )

    def start(self) -> RunStarted:
        """The first record. Raises JournalError if there is none, it is damaged, or its format is not ours."""
        try:
            with self._path.open("rb") as file:
                return self._start(file.readline(MAX_LINE_BYTES))
        except FileNotFoundError:
            raise JournalError(f"{self.folder}: no {JOURNAL_FILE} here; name the folder of a run") from None
        except OSError as error:
            raise JournalError(f"{self._path}: cannot be read ({error.strerror}); check its rights") from error

    def events(self) -> Iterator[Event]:
        """All whole events in order, the first included. Raises JournalError like `start`."""
        yield self.start()
        decoder = msgspec.json.Decoder(AnyEvent)
        with self._path.open("rb") as file:
            file.readline(MAX_LINE_BYTES)
            for line in self._lines(file):
                try:
                    yield decoder.decode(line)
                except msgspec.ValidationError:
                    self.strange += 1
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self.damaged += 1

    def operations(self, attempt: int = 0) -> Iterator[list[Operation]]:
        """Batches of operations, to the last whole one."""
        return self.segment("operations", attempt).read(msgspec.msgpack.Decoder(list[Operation]))

    def wire(self, attempt: int = 0) -> Iterator[list[WireRecord]]:
        """Batches of wire records, to the last whole one."""
        return self.segment("wire", attempt).read(msgspec.msgpack.Decoder(list[WireRecord]))

    def effects(self, attempt: int = 0) -> Iterator[list[StoredEffect]]:
        """Batches of effects, to the last whole one; none where a run before there was a ledger recorded none."""
        return self.segment("effects", attempt).read(msgspec.msgpack.Decoder(list[StoredEffect]))

    def segment(self, kind: str, attempt: int = 0) -> SegmentReader:
        """The reader of a segment, which tells what it could not read."""
        path = self.folder / segment_file(kind, attempt)
        return self._segments.setdefault((kind, attempt), SegmentReader(path))

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        whole = file.tell()
        while line := file.readline(MAX_LINE_BYTES):
            if not line.endswith(b"\n"):
                self.torn_bytes = file.seek(0, 2) - whole
                return
            whole += len(line)
            yield line

    def _start(self, line: bytes) -> RunStarted:
        if not line.endswith(b"\n"):
            raise JournalError(f"{self._path}: ends before its first whole event; this run left no record to read")
        try:
            head = msgspec.json.decode(line, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(f"{self._path}: is no journal of a run; name the folder of a run") from error
        if head.event != RunStarted.__name__:
            raise JournalError(
                f"{self._path}: begins with {head.event or 'no event'!r}; a run's record begins with RunStarted"
            )
        if head.format != JOURNAL_FORMAT:
            raise JournalError(
                f"{self._path}: format {head.format}, this version reads format {JOURNAL_FORMAT}; "
                f"read it with the version that wrote it{_version(head)}"
            )
        try:
            return msgspec.json.decode(line, type=RunStarted)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(f"{self._path}: its first event cannot be read: {error}") from error


def _version(head: _Head) -> str:
    version = head.versions.get("chaos-drill")
    return f" (chaos-drill {version})" if isinstance(version, str) else ""
