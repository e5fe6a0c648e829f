"""Drills as a user runs them: the command in a process of its own, watched through the journal it writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

WAIT_S = 170.0  # a drill that is followed by second runs takes as long again
GONE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """A finished drill: exit code, verdict.json, its folder, and what stood on the screen."""

    code: int
    verdict: dict[str, Any]
    folder: Path
    screen: str

    def cells(self, oracle: str) -> dict[str, str]:
        """Verdicts of an oracle's cells by cell id."""
        return {cell["id"]: cell["verdict"] for cell in self.verdict["cells"] if cell["oracle"] == oracle}

    def violated(self) -> set[str]:
        """Names of the oracles that were violated."""
        return {cell["oracle"] for cell in self.verdict["cells"] if cell["verdict"] == "VIOLATED"}

    def explain(self) -> str:
        """The verdict as text, for a failing assertion."""
        return f"exit {self.code}\n{(self.folder / 'summary.md').read_text()[:6000]}"


@dataclass(slots=True)
class Running:
    """A drill that runs."""

    process: subprocess.Popen[str]
    out: Path

    @property
    def folder(self) -> Path | None:
        """The run's folder once there is one."""
        return next((path for path in sorted(self.out.glob("*")) if (path / "journal.jsonl").exists()), None)

    def events(self) -> list[dict[str, Any]]:
        """Whole lines of the journal so far."""
        if self.folder is None:
            return []
        lines = (self.folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first event of that kind with these fields; fails when the drill ends without it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            for one in self.events():
                if one["event"] == event and all(one.get(key) == value for key, value in fields.items()):
                    return one
            assert not ended, f"the drill ended ({self.process.returncode}) before {event} {fields}"
            time.sleep(0.05)
        raise AssertionError(f"no {event} {fields} within {WAIT_S} s")

    def wait_for_more(self, event: str, *, than: int) -> None:
        """Until there are more events of that kind than so many."""
        deadline = time.monotonic() + WAIT_S
        while sum(one["event"] == event for one in self.events()) <= than:
            assert self.process.poll() is None, f"the drill ended ({self.process.returncode}) before another {event}"
            assert time.monotonic() < deadline, f"no other {event} within {WAIT_S} s"
            time.sleep(0.05)

    def pid_of(self, name: str) -> int:
        """Process id of a child by its name."""
        return int(self.wait_for("ProcessStarted", name=name)["pid"])

    def finish(self) -> Result:
        """Wait for the end and read what it left."""
        screen, _ = self.process.communicate(timeout=WAIT_S)
        folder = self.folder
        assert folder is not None, screen
        verdict = json.loads((folder / "verdict.json").read_text())
        return Result(self.process.returncode, verdict, folder, screen)


@contextmanager
def start_drill(
    *arguments: str, out: Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Running]:
    """Start `chaos-drill run ...`, of the tree in `cwd` if given; whatever happens, it is ended and nothing of it is left afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos", "run", *arguments, "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True,
    )  # fmt: skip
    try:
        yield Running(process, out)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def run_drill(*arguments: str, out: Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Result:
    """A whole drill, and the proof that nothing of it is left."""
    with start_drill(*arguments, out=out, env=env, cwd=cwd) as drill:
        result = drill.finish()
    assert_nothing_left(result.folder)
    return result


def processes_of(folder: Path) -> list[str]:
    """Children of the run, as its journal names them, that still live and carry the mark of a run; zombies excluded."""
    lines = (folder / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    started = {one["pid"]: one["name"] for one in map(json.loads, lines) if one["event"] == "ProcessStarted"}
    found = []
    for pid, name in started.items():
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE and "CHAOS_RUN" in process.environ():
                found.append(f"{name} {pid} {' '.join(process.cmdline())[:120]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def scratch_of(run_id: str) -> list[Path]:
    """Scratch directories whose owner file names the run."""
    roots = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    owners = [owner for root in roots for owner in root.glob("chaos-*/owner.json")]
    return [owner.parent for owner in owners if run_id in _text(owner)]


def _text(path: Path) -> str:
    """Its content, or nothing when it has just been removed."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def assert_nothing_left(folder: Path) -> None:
    """No process and no scratch directory of the run is left within ten seconds."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (
        left := processes_of(folder) + [str(path) for path in scratch_of(folder.name)]
    ) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
