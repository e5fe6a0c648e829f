"""The files of a run's folder: whole or not there."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from chaos.errors import JournalError
from chaos.reports import write_all
from tests.reports.build_verdict import sample_evidence, sample_finding, sample_verdict


def test_all_three_are_written_and_replaced(tmp_path: Path) -> None:
    """Judging again renews the files, and nothing else is left in the folder."""
    for seen in ("500 internal", "500 other"):
        paths = write_all(tmp_path, sample_verdict(sample_finding(seen=seen)), sample_evidence())
        assert [path.name for path in paths] == ["verdict.json", "junit.xml", "summary.md"]
        assert all(seen.split()[1] in path.read_text(encoding="utf-8") for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "summary.md", "verdict.json"]
    assert oct(paths[0].stat().st_mode & 0o777) == "0o644"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While the file is written again and again, each reading of it is a whole document."""
    verdict, evidence = sample_verdict(), sample_evidence()
    write_all(tmp_path, verdict, evidence)
    over = threading.Event()
    failures: list[ValueError] = []

    def read() -> None:
        while not over.is_set():
            try:
                json.loads((tmp_path / "verdict.json").read_text())
            except ValueError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        write_all(tmp_path, verdict, evidence)
    over.set()
    reader.join()
    assert failures == []


def test_a_folder_that_is_gone_is_an_error_of_ours(tmp_path: Path) -> None:
    """The error names the file and what to check."""
    with pytest.raises(JournalError, match=r"verdict\.json: cannot be written"):
        write_all(tmp_path / "gone", sample_verdict(), sample_evidence())
