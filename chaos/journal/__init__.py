"""The record of a run, the only truth: an append-only journal with segments beside it. Everything else is a view of it."""

from __future__ import annotations

from chaos.journal.assemble import CUT_OFF, read_evidence
from chaos.journal.reader import JournalReader
from chaos.journal.runs import LATEST, find_run, list_runs, new_run_folder
from chaos.journal.writer import Journal, open_journal

__all__ = [
    "CUT_OFF", "LATEST", "Journal", "JournalReader", "find_run", "list_runs", "new_run_folder", "open_journal", "read_evidence",
]  # fmt: skip
