"""Processes of the run that somebody else stopped (SIGSTOP): what happened meanwhile is not the system's doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import anyio

from chaos.engine.clock import now_ns
from chaos.model.event import AnyEvent, ProcessStalled
from chaos.system import procfs

__all__ = ["LONGEST_STOP_NS", "Standstill", "watch_standstill"]

LONGEST_STOP_NS = 4_000_000_000
"""A run whose part is stopped for longer proves nothing any more. Less than a lease's TTL, so that it can still be healed."""

_EVERY_S = 0.2


class Standstill:
    """Who was seen stopped since when. Time is an argument."""

    def __init__(self) -> None:
        self._ran_ns: dict[str, int] = {}
        self._stopped: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Standstill of {', '.join(self._stopped) or 'nobody'}>"

    def see(self, stopped: Mapping[str, bool], t_ns: int) -> Iterator[ProcessStalled]:
        """Take a look at all living processes; yields what ended: it lasted at most from the look before it to this one."""
        for name in [one for one in self._stopped if not stopped.get(one)]:
            yield self._over(name, t_ns)
        for name, now_stopped in stopped.items():
            if now_stopped:
                self._stopped.setdefault(name, self._ran_ns.get(name, t_ns))
            else:
                self._ran_ns[name] = t_ns

    def too_long(self, t_ns: int) -> tuple[str, ...]:
        """Who has been stopped for longer than a run can bear."""
        return tuple(name for name, since_ns in self._stopped.items() if t_ns - since_ns > LONGEST_STOP_NS)

    def end(self, t_ns: int) -> Iterator[ProcessStalled]:
        """Nobody looks any more: what lasts until now."""
        for name in list(self._stopped):
            yield self._over(name, t_ns)

    def _over(self, name: str, t_ns: int) -> ProcessStalled:
        return ProcessStalled(t_ns=t_ns, name=name, start_ns=self._stopped.pop(name), end_ns=t_ns)


async def watch_standstill(
    pids: Callable[[], Mapping[str, int]],
    emit: Callable[[AnyEvent], None],
    give_up: Callable[[str], None],
    wake: Callable[[str], None],
) -> None:
    """Look at the processes several times a second until cancelled. One stopped for too long is woken, so that the run can be healed, and
    the run given up.
    """
    seen = Standstill()
    try:
        while True:
            now = now_ns()
            for event in seen.see({name: _is_stopped(pid) for name, pid in pids().items()}, now):
                emit(event)
            for name in seen.too_long(now):
                give_up(
                    f"{name} was stopped from outside (SIGSTOP) for more than {LONGEST_STOP_NS / 1e9:g} s: "
                    "leave the run's processes alone and run it again"
                )
                wake(name)
            await anyio.sleep(_EVERY_S)
    finally:
        for event in seen.end(now_ns()):
            emit(event)


def _is_stopped(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and found.state in "Tt"
