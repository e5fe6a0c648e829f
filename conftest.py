"""Shared by all tests: a clean environment, so that what a developer has exported cannot change a result."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator

import pytest

# A suite started by nohup or in the background of a script inherits ignored signals, and so would the drills it interrupts.
for _signal in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)

# Children must find compiled modules: recompiling five services at every start costs seconds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def _machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A drill has the machine to itself: it judges a system by its answers, and the tests of another worker would slow them.

    Who waits for the room holds the door, so that nobody slips past a waiting drill.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    alone = request.node.get_closest_marker("drill") is not None
    with (shared / "door.lock").open("w") as door, (shared / "room.lock").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of test runs stay out of the user's own state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    monkeypatch.delenv("CHAOS_DEFECTS", raising=False)
