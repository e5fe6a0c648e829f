"""Shared by the tests of bringing systems up: specs of small children, and waiting for what the kernel tells nobody."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from chaos.system import ChildSpec, minimal_environment
from chaos.system.procfs import environ_value, links_into, pids, stat

HANG_GUARD_S = 30.0


def spec(name: str, *argv: str, log_dir: Path, stop_signal: str = "TERM") -> ChildSpec:
    """A child with a log of its own."""
    return ChildSpec(
        name=name,
        argv=argv,
        log=log_dir / f"{name}.log",
        env=minimal_environment(),
        stop_signal="INT" if stop_signal == "INT" else "TERM",
    )


def python(name: str, code: str, log_dir: Path) -> ChildSpec:
    """A child that runs a few lines of Python."""
    return spec(name, sys.executable, "-c", code, log_dir=log_dir)


def of_scratch(path: Path) -> list[int]:
    """Living processes of the run with this scratch directory."""
    return [
        pid
        for pid in pids()
        if (found := stat(pid)) is not None
        and not found.dead
        and (environ_value(pid, "CHAOS_RUN") == path.name or links_into(pid, str(path)))
    ]


def eventually(condition: Callable[[], bool], deadline_s: float = HANG_GUARD_S) -> bool:
    """Whether `condition` comes true; for what other processes do, which nobody signals to us."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
