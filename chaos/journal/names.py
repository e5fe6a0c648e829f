"""Names of the files of a run's record, and the bounds a reader keeps."""

from __future__ import annotations

__all__ = ["JOURNAL_FILE", "MAX_BATCH_BYTES", "MAX_LINE_BYTES", "SEGMENTS", "segment_file"]

JOURNAL_FILE = "journal.jsonl"

SEGMENTS = ("operations", "wire", "effects")
"""Kinds of segments."""


def segment_file(kind: str, attempt: int = 0) -> str:
    """The name of a segment's file: of the first run, or of a second run by its number from 1."""
    return f"{kind}.attempt-{attempt}.msgpack" if attempt else f"{kind}.msgpack"


# Beyond these a length or a line is damage, not data; they keep a reader of a broken file within memory.
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_BATCH_BYTES = 256 * 1024 * 1024
