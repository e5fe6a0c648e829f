"""Names of the files of a run's record, and the bounds a reader keeps."""

from __future__ import annotations

__all__ = ["EFFECTS_FILE", "JOURNAL_FILE", "MAX_BATCH_BYTES", "MAX_LINE_BYTES", "OPERATIONS_FILE", "WIRE_FILE"]

JOURNAL_FILE = "journal.jsonl"
OPERATIONS_FILE = "operations.msgpack"
WIRE_FILE = "wire.msgpack"
EFFECTS_FILE = "effects.msgpack"

# Beyond these a length or a line is damage, not data; they keep a reader of a broken file within memory.
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_BATCH_BYTES = 256 * 1024 * 1024
