"""From a run's folder to its evidence: everything oracles may look at, and nothing that the record does not hold."""

from __future__ import annotations

from pathlib import Path

import msgspec

from chaos.journal.collected import CUT_OFF, CollectedRun
from chaos.journal.reader import JournalReader
from chaos.model.event import AttemptStarted
from chaos.model.evidence import Evidence

__all__ = ["CUT_OFF", "read_evidence"]


def read_evidence(folder: Path) -> Evidence:
    """The evidence of the run recorded in this folder, to the last whole event. Raises JournalError if there is none to read.

    Second runs stand in `attempts`, each as far as it is known.
    """
    reader = JournalReader(folder)
    runs = _runs(reader)
    for run in runs:
        run.segments(reader)
    for run in runs:
        run.damage(reader, last=run is runs[-1])
    first, *again = (run.evidence() for run in runs)
    # Only a complete run is confirmed, and it ended where the second one began.
    return msgspec.structs.replace(first, end_how="complete", attempts=tuple(again)) if again else first


def _runs(reader: JournalReader) -> list[CollectedRun]:
    """The events, each in its run."""
    start = reader.start()
    runs = [CollectedRun(start)]
    for event in reader.events():
        if isinstance(event, AttemptStarted):
            runs.append(CollectedRun(start, event))
        runs[-1].event(event)
    return runs
