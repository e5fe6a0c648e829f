"""One place that waits: a heap of due times behind a single timerfd, or the loop's own timers where there is none.

asyncio rounds waits up to whole milliseconds; a timerfd wakes the loop within tens of microseconds. Nothing fires early.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

__all__ = ["Timer", "Timers"]

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1
# Fewer dead entries than this are not worth a sweep.
SWEEP_AT = 64
#: A prompt timer further away than this is woken for twice, first so long before its time.
IDLE_NS = 2_000_000
LEAD_NS = 300_000


class Timer:
    """A call that was scheduled; `cancel()` makes sure that it does not happen."""

    __slots__ = ("_cancelled", "call", "prompt", "when_ns")

    def __init__(
        self, when_ns: int, call: Callable[[], None], cancelled: Callable[[], None], *, prompt: bool = False
    ) -> None:
        self.when_ns = when_ns
        self.prompt = prompt
        self.call: Callable[[], None] | None = call
        self._cancelled = cancelled

    def cancel(self) -> None:
        """Forget the call, if it has not been made."""
        if self.call is not None:
            self.call = None
            self._cancelled()


class _Alarm(Protocol):
    """Something that calls back at a moment of CLOCK_MONOTONIC, or later."""

    def set(self, when_ns: int) -> None: ...

    def close(self) -> None: ...


class Timers:
    """Calls at nanoseconds of CLOCK_MONOTONIC on the running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._serial = count()
        self._dead = 0
        self._armed_ns: int | None = None
        self._alarm: _Alarm = _timerfd(loop, self._fire) or _LoopAlarm(loop, self._fire)

    def at(self, when_ns: int, call: Callable[[], None], *, prompt: bool = False) -> Timer:
        """Call at that moment or as soon after it as the loop gets round to it.

        `prompt`: worth a wakeup of its own shortly before. After milliseconds of sleep the caches are cold, and the first turn
        of the loop takes several times as long as the second.
        """
        timer = Timer(when_ns, call, self._cancelled, prompt=prompt)
        heapq.heappush(self._heap, (when_ns, next(self._serial), timer))
        if self._armed_ns is None or when_ns < self._armed_ns:
            self._arm(timer)
        return timer

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def _cancelled(self) -> None:
        """Cancelled calls stay in the heap until their time, which may be an hour away: sweep before they outnumber the others."""
        self._dead += 1
        if self._dead > SWEEP_AT and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapq.heapify(self._heap)
            self._dead = 0

    def close(self) -> None:
        """Forget everything scheduled."""
        self._heap.clear()
        self._alarm.close()

    def _arm(self, timer: Timer) -> None:
        self._armed_ns = when_ns = timer.when_ns
        if timer.prompt and when_ns - time.monotonic_ns() > IDLE_NS:
            when_ns -= LEAD_NS
        self._alarm.set(when_ns)

    def _fire(self) -> None:
        self._armed_ns = None
        now_ns = time.monotonic_ns()
        try:
            while self._heap and self._heap[0][0] <= now_ns:
                timer = self._pop()
                call, timer.call = timer.call, None
                if call is not None:
                    call()
        finally:
            # A call that raised is reported by the loop; the others must still come.
            self._rearm()

    def _pop(self) -> Timer:
        timer = heapq.heappop(self._heap)[2]
        if timer.call is None:
            self._dead -= 1
        return timer

    def _rearm(self) -> None:
        while self._heap and self._heap[0][2].call is None:
            self._pop()
        if self._heap and (self._armed_ns is None or self._heap[0][0] < self._armed_ns):
            self._arm(self._heap[0][2])


class _LoopAlarm:
    """The fallback: late by up to a millisecond."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def set(self, when_ns: int) -> None:
        self.close()
        self._handle = self._loop.call_later(max(0, when_ns - time.monotonic_ns()) / 1e9, self._call)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _TimerFd:
    """A timerfd in the loop's selector; `settime(fd, seconds, nanoseconds)` arms it at an absolute moment."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        fd: int,
        settime: Callable[[int, int, int], object],
        call: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._fd = fd
        self._settime = settime
        self._call = call
        loop.add_reader(fd, self._readable)

    def set(self, when_ns: int) -> None:
        # An absolute time of zero would disarm; one in the past fires at once.
        self._settime(self._fd, *divmod(max(1, when_ns), 1_000_000_000))

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # armed anew between the wakeup and this read
        self._call()


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


def _timerfd(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> _TimerFd | None:
    """Through libc: `os.timerfd_create` exists from Python 3.13 on only."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    fd = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
    if fd < 0:
        return None
    spec = _Itimerspec()
    reference = ctypes.byref(spec)

    def settime(fd: int, seconds: int, nanoseconds: int) -> None:
        spec.value.seconds = seconds
        spec.value.nanoseconds = nanoseconds
        libc.timerfd_settime(fd, _ABSOLUTE, reference, None)

    return _TimerFd(loop, fd, settime, call)
