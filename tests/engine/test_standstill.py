"""Processes that somebody else stopped: seen, told with their times, woken, and reason enough to give up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

from chaos.engine import standstill
from chaos.engine.standstill import LONGEST_STOP_NS, Standstill, watch_standstill
from chaos.model.event import AnyEvent, ProcessStalled
from chaos.system import procfs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells who is stopped")


def test_a_stop_is_told_with_the_widest_times_it_can_have() -> None:
    """From the last look that saw it running to the first that sees it running again."""
    seen = Standstill()
    assert list(seen.see({"proxy": False}, 100)) == []
    assert list(seen.see({"proxy": True}, 200)) == []
    assert list(seen.see({"proxy": True}, 300)) == []
    assert list(seen.see({"proxy": False}, 400)) == [ProcessStalled(t_ns=400, name="proxy", start_ns=100, end_ns=400)]
    assert list(seen.end(500)) == []


def test_who_is_gone_stands_still_no_more() -> None:
    """A stopped process that was killed, and one that is still stopped when nobody looks any more, are told too."""
    seen = Standstill()
    list(seen.see({"rag": False, "api": False}, 100))
    list(seen.see({"rag": True, "api": True}, 200))
    assert [one.name for one in seen.see({"api": True}, 300)] == ["rag"]
    assert [(one.name, one.end_ns) for one in seen.end(400)] == [("api", 400)]


def test_too_long_is_longer_than_a_run_can_bear() -> None:
    """Counted from the look before the stop."""
    seen = Standstill()
    list(seen.see({"rag": False}, 0))
    list(seen.see({"rag": True}, 10))
    assert seen.too_long(LONGEST_STOP_NS) == ()
    assert seen.too_long(LONGEST_STOP_NS + 1) == ("rag",)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of a group of its own that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_stopped_process_is_woken_and_the_run_given_up(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real SIGSTOP: the watcher gives up naming the process, wakes it, and tells how long it stood."""
    monkeypatch.setattr(standstill, "LONGEST_STOP_NS", 1)
    told: list[AnyEvent] = []
    reasons: list[str] = []
    ended = anyio.Event()

    def emit(event: AnyEvent) -> None:
        told.append(event)
        ended.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(
                watch_standstill,
                lambda: {"rag": sleeper.pid},
                emit,
                reasons.append,
                lambda _name: os.kill(sleeper.pid, signal.SIGCONT),
            )
            os.kill(sleeper.pid, signal.SIGSTOP)
            await ended.wait()
            group.cancel_scope.cancel()
    assert "rag was stopped from outside" in reasons[0]
    assert isinstance(told[0], ProcessStalled)
    assert told[0].name == "rag"
    found = procfs.stat(sleeper.pid)
    assert found is not None
    assert found.state != "T"
