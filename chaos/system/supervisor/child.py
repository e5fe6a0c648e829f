"""One child as the supervisor sees it: a process group, and the signals it is still due."""

from __future__ import annotations

import contextlib
import os

from chaos.system.supervisor.escalation import Step, escalation
from chaos.system.supervisor.log import ChildLog

__all__ = ["SupervisedChild"]


class SupervisedChild:
    """A running child. Its group is signalled as a whole, so grandchildren are meant too."""

    __slots__ = ("due", "log", "name", "pid", "stop_signal", "uid")

    def __init__(self, name: str, pid: int, stop_signal: str, uid: int, log: ChildLog) -> None:
        self.name = name
        self.pid = pid
        self.stop_signal = stop_signal
        self.uid = uid
        self.log = log
        self.due: list[Step] = []

    def __repr__(self) -> str:
        return f"<SupervisedChild {self.name} pid={self.pid} due={len(self.due)}>"

    def begin_stop(self, now_s: float, grace_s: float) -> None:
        """Plan the escalation from now; asking again can only bring the end nearer."""
        steps = [(now_s + after, signo) for after, signo in escalation(self.stop_signal, grace_s)]
        if not self.due or steps[-1][0] < self.due[-1][0]:
            self.due = steps

    def fire(self, now_s: float) -> None:
        """Send the signals that are due."""
        while self.due and self.due[0][0] <= now_s:
            self.signal(self.due.pop(0)[1])

    def signal(self, signo: int) -> None:
        """Signal the whole group."""
        # PermissionError: macOS answers it for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signo)
