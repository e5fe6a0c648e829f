"""Folders of runs: `<utc>-<scenario>-<short id>`, so that their names sort by time; found by path, name, prefix or `latest`."""

from __future__ import annotations

import difflib
import re
import time
from pathlib import Path
from random import Random

from chaos.errors import JournalError
from chaos.journal.names import JOURNAL_FILE

__all__ = ["LATEST", "find_run", "list_runs", "new_run_folder"]

LATEST = "latest"
_ATTEMPTS = 20


def new_run_folder(parent: Path, scenario: str, *, wall_ns: int, random: Random) -> Path:
    """Make the folder of a new run; its name is the run's id. Two runs that begin in the same second get two folders.

    Raises JournalError if nothing can be made there.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_ns / 1e9))
    slug = re.sub(r"[^a-z0-9]+", "-", scenario.lower()).strip("-")[:40].strip("-") or "run"
    for _ in range(_ATTEMPTS):
        folder = parent / f"{stamp}-{slug}-{random.getrandbits(24):06x}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise JournalError(
                f"{parent}: no run can be kept here ({error.strerror}); name another with --out"
            ) from error
        return folder
    raise JournalError(f"{parent}: {_ATTEMPTS} names for a run were all taken; name another folder with --out")


def list_runs(parent: Path) -> tuple[Path, ...]:
    """The folders of recorded runs in `parent`, newest first. Raises JournalError if it cannot be read; a missing one is empty."""
    try:
        folders = [one for one in parent.iterdir() if (one / JOURNAL_FILE).is_file()]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise JournalError(f"{parent}: cannot be read ({error.strerror}); name a folder of runs with --out") from error
    return tuple(sorted(folders, key=lambda one: one.name, reverse=True))


def find_run(reference: str, parent: Path) -> Path:
    """The folder of the run that `reference` means: a path, a name in `parent`, its prefix or short id, or `latest`.

    Raises JournalError if no run, or more than one, is meant; the text names the nearest.
    """
    path = Path(reference)
    for folder in (path, path.parent, parent / path):  # the folder, a file in it, a name
        if (folder / JOURNAL_FILE).is_file() and (folder != path.parent or path.is_file()):
            return folder
    runs = list_runs(parent)
    if not runs:
        raise JournalError(f"{parent}: holds no run yet; `chaos-drill run SCENARIO` records one")
    if reference == LATEST:
        return runs[0]
    meant = [one for one in runs if one.name.startswith(reference) or one.name.rpartition("-")[2] == reference]
    if len(meant) == 1:
        return meant[0]
    raise JournalError(_unclear(reference, parent, [one.name for one in (meant or runs)], ambiguous=bool(meant)))


def _unclear(reference: str, parent: Path, names: list[str], *, ambiguous: bool) -> str:
    if ambiguous:
        return (
            f"{reference!r} is the beginning of {len(names)} runs in {parent}: {', '.join(names[:5])}; write more of it"
        )
    near = difflib.get_close_matches(reference, names, n=3, cutoff=0.3) or names[:3]
    return f"no run {reference!r} in {parent}; nearest: {', '.join(near)}; or write {LATEST}"
