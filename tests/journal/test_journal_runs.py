"""Folders of runs and how they are found."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from chaos.errors import JournalError
from chaos.journal import find_run, list_runs, new_run_folder
from tests.journal.build import WALL_NS


def _run(parent: Path, name: str, *, seconds: int = 0, seed: int = 1) -> Path:
    folder = new_run_folder(parent, name, wall_ns=WALL_NS + seconds * 10**9, random=Random(seed))
    (folder / "journal.jsonl").touch()
    return folder


def test_a_name_tells_when_and_what(tmp_path: Path) -> None:
    """UTC first, so that names sort by time; the scenario's name is made fit for a path."""
    assert _run(tmp_path, "../Slow Postgres!\n").name.startswith("20260921T141320Z-slow-postgres-")


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    """The same seed twice: the second draws again instead of sharing a folder."""
    assert _run(tmp_path, "smoke") != _run(tmp_path, "smoke")


def test_runs_are_found(tmp_path: Path) -> None:
    """By path, by a file in it, by name, by prefix, by short id, and the latest one."""
    first, second = _run(tmp_path, "smoke"), _run(tmp_path, "quickstart", seconds=60, seed=2)
    (tmp_path / "sample").mkdir()
    assert list_runs(tmp_path) == (second, first)
    for reference in (str(first), str(first / "journal.jsonl"), first.name, first.name[:20], first.name[-6:]):
        assert find_run(reference, tmp_path) == first
    assert find_run("latest", tmp_path) == second


def test_a_run_that_is_not_meant_clearly_is_refused(tmp_path: Path) -> None:
    """Unknown names come with the nearest, ambiguous ones with the candidates, an empty folder with what to do."""
    with pytest.raises(JournalError, match="chaos-drill run"):
        find_run("latest", tmp_path)
    first = _run(tmp_path, "smoke")
    _run(tmp_path, "smoke", seconds=1, seed=2)
    with pytest.raises(JournalError, match="beginning of 2 runs"):
        find_run("2026", tmp_path)
    with pytest.raises(JournalError, match=f"nearest: .*{first.name}"):
        find_run(first.name.replace("smoke", "smokes"), tmp_path)
    with pytest.raises(JournalError, match="no run"):
        find_run("a\x00b", tmp_path)


def test_a_place_that_takes_no_folder_is_named(tmp_path: Path) -> None:
    """A file where the folder of runs should be is an error of ours."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="--out"):
        _run(tmp_path / "file", "smoke")
