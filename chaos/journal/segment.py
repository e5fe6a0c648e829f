"""Segments beside the journal: batches of records, each a u32 big-endian length and that many bytes of one msgpack array."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from chaos.errors import JournalError
from chaos.journal.append import AppendOnly
from chaos.journal.names import MAX_BATCH_BYTES
from chaos.model.event import SegmentClosed

__all__ = ["SegmentReader", "SegmentWriter", "count_records"]

_Record = TypeVar("_Record", bound=msgspec.Struct)
_LENGTH = struct.Struct(">I")


def count_records(payload: bytes) -> int:
    """How many records a msgpack array announces in its head, without decoding them. Raises JournalError for no array."""
    head = payload[0] if payload else 0
    if 0x90 <= head <= 0x9F:  # fixarray
        return head & 0x0F
    if head == 0xDC and len(payload) >= 3:  # array 16
        return int.from_bytes(payload[1:3])
    if head == 0xDD and len(payload) >= 5:  # array 32
        return int.from_bytes(payload[1:5])
    raise JournalError("a batch must be one msgpack array of records")


class SegmentWriter:
    """Appends encoded batches to a segment file and counts them."""

    def __init__(self, path: Path, kind: str) -> None:
        self.kind = kind
        self.records = 0
        self._file = AppendOnly(path)

    def append(self, payload: bytes) -> None:
        """Append one batch; an empty one leaves no trace. Raises JournalError if it is no array, too long, or cannot be written."""
        records = count_records(payload)
        if records == 0:
            return
        if len(payload) > MAX_BATCH_BYTES:
            raise JournalError(f"{self._file.path}: a batch of {len(payload)} bytes is too long; send smaller ones")
        self._file.append(_LENGTH.pack(len(payload)) + payload)
        self.records += records

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def closed(self, t_ns: int) -> SegmentClosed:
        """Close the file and tell what it holds."""
        self.close()
        name, nbytes = self._file.path.name, self._file.nbytes
        return SegmentClosed(t_ns=t_ns, name=name, kind=self.kind, records=self.records, nbytes=nbytes)


class SegmentReader:
    """Reads a segment batch by batch, to the last whole one. After iteration it tells what it could not read.

    `whole_bytes` is where the last whole batch ends, `torn_bytes` what follows it, `damaged` the batches that did not decode.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole_bytes = 0
        self.torn_bytes = 0
        self.damaged = 0
        self.records = 0

    def read(self, decoder: msgspec.msgpack.Decoder[list[_Record]]) -> Iterator[list[_Record]]:
        """The records of each whole batch, in order. A missing file has none. Raises JournalError if it cannot be read."""
        if self.path.exists() and not self.path.is_file():
            raise JournalError(
                f"{self.path}: is no file; this is not how a run was recorded"
            )  # a FIFO would wait for ever
        try:
            with self.path.open("rb") as file:
                for payload in self._payloads(file):
                    try:
                        batch = decoder.decode(payload)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        self.damaged += 1
                        continue
                    self.records += len(batch)
                    yield batch
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read ({error.strerror}); check its rights") from error

    def _payloads(self, file: BinaryIO) -> Iterator[bytes]:
        size = file.seek(0, 2)
        file.seek(0)
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            end = self.whole_bytes + _LENGTH.size + length
            if length > MAX_BATCH_BYTES or end > size:
                break
            self.whole_bytes = end
            yield file.read(length)
        self.torn_bytes = size - self.whole_bytes
