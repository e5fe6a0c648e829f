"""The one place that waits: order, never early, cancelling, with and without a timerfd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from chaos.proxy import timers as timers_module
from chaos.proxy.timers import Timers

MS = 1_000_000


@pytest.fixture(params=["timerfd", "loop"])
async def timers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timers]:
    """Timers by either means."""
    if request.param == "loop":
        monkeypatch.setattr(timers_module, "_timerfd", lambda loop, call: None)
    made = Timers(asyncio.get_running_loop())
    yield made
    made.close()


async def test_calls_come_in_order_and_never_early(timers: Timers) -> None:
    """Whatever the order they were asked for in."""
    done = asyncio.Event()
    called: list[tuple[int, int]] = []
    now_ns = time.monotonic_ns()
    dues = [now_ns + ms * MS for ms in (9, 3, 6, 3, 0, -5)]
    for due_ns in dues:
        timers.at(due_ns, lambda due_ns=due_ns: called.append((due_ns, time.monotonic_ns())))  # type: ignore[misc]
    timers.at(max(dues) + MS, done.set)
    await asyncio.wait_for(done.wait(), 10)
    assert [due_ns for due_ns, _ in called] == sorted(dues)
    assert all(at_ns >= due_ns for due_ns, at_ns in called)


async def test_a_cancelled_call_does_not_come(timers: Timers) -> None:
    """Also when it is the one that the alarm is set for."""
    called: list[str] = []
    done = asyncio.Event()
    now_ns = time.monotonic_ns()
    first = timers.at(now_ns + MS, lambda: called.append("first"))
    timers.at(now_ns + 2 * MS, lambda: called.append("second"))
    timers.at(now_ns + 3 * MS, done.set)
    first.cancel()
    await asyncio.wait_for(done.wait(), 10)
    assert called == ["second"]


async def test_cancelled_calls_do_not_pile_up(timers: Timers) -> None:
    """A thousand calls an hour away, cancelled: the heap does not keep them; those that live still come."""
    done = asyncio.Event()
    now_ns = time.monotonic_ns()
    timers.at(now_ns + 5 * MS, done.set)
    for _ in range(1000):
        timers.at(now_ns + 3_600_000 * MS, done.set).cancel()
    assert len(timers) == 1
    assert len(timers._heap) < 200
    await asyncio.wait_for(done.wait(), 10)
    assert len(timers) == 0


async def test_a_call_may_schedule_the_next(timers: Timers) -> None:
    """An earlier one than those that wait, too."""
    called: list[int] = []
    done = asyncio.Event()

    def again() -> None:
        called.append(len(called))
        if len(called) == 20:
            done.set()
        else:
            timers.at(time.monotonic_ns() + MS // 10, again)

    timers.at(time.monotonic_ns() + 3_600_000 * MS, done.set)
    again()
    await asyncio.wait_for(done.wait(), 10)
    assert called == list(range(20))


async def test_a_call_that_raises_does_not_stop_the_others(timers: Timers) -> None:
    """The loop hears of it; the rest comes."""
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context["exception"]))
    done = asyncio.Event()

    def fail() -> None:
        raise RuntimeError("on purpose")

    now_ns = time.monotonic_ns()
    timers.at(now_ns, fail)
    timers.at(now_ns + MS, done.set)
    await asyncio.wait_for(done.wait(), 10)
    assert [str(error) for error in heard] == ["on purpose"]


async def test_prompt_calls_are_woken_for_twice_and_made_once(timers: Timers) -> None:
    """The wakeup before the time makes no call; the call comes, in order with others, never early."""
    called: list[tuple[str, int]] = []
    done = asyncio.Event()

    def note(name: str) -> None:
        called.append((name, time.monotonic_ns()))

    start_ns = time.monotonic_ns()
    for name, after_ms, prompt in (("late", 12, True), ("soon", 1, True), ("plain", 6, False)):
        timers.at(start_ns + after_ms * 1_000_000, partial(note, name), prompt=prompt)
    timers.at(start_ns + 13_000_000, done.set)
    await asyncio.wait_for(done.wait(), 10)
    assert [name for name, _ in called] == ["soon", "plain", "late"]
    assert all(t_ns >= start_ns + ms * 1_000_000 for (_, t_ns), ms in zip(called, (1, 6, 12), strict=True))
