"""The files of a run's folder that are views of its journal: each is whole or not there, also when the writer is killed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from chaos.errors import JournalError
from chaos.model.evidence import Evidence
from chaos.model.verdict import RunVerdict
from chaos.reports.json_report import render_json
from chaos.reports.junit import render_junit
from chaos.reports.markdown import render_markdown

__all__ = ["write_all"]


def write_all(folder: Path, verdict: RunVerdict, evidence: Evidence) -> tuple[Path, ...]:
    """Write `verdict.json`, `junit.xml` and `summary.md` into the run's folder, replacing older ones.

    Raises JournalError when the folder takes none; what is not written keeps its old content.
    """
    texts = {
        "verdict.json": render_json(verdict, evidence) + "\n",
        "junit.xml": render_junit(verdict, evidence),
        "summary.md": render_markdown(verdict, evidence),
    }
    return tuple(_write(folder / name, text) for name, text in texts.items())


def _write(path: Path, text: str) -> Path:
    """Write beside it, then rename: a reader sees the old file or the new one."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                os.fchmod(file.fileno(), 0o644)  # a temporary file is private; a report is for everybody
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise JournalError(
            f"{path}: cannot be written ({error.strerror}); check the folder and the room on its disk"
        ) from error
    return path
