"""What the kernel tells about processes: parents, states, start times, environments. Empty answers where there is no /proc.

Standard library only: the supervisor imports this and has to start in tens of milliseconds.
"""

# pathlib is slow to import, and the supervisor has to start in tens of milliseconds.
# ruff: noqa: PTH112, PTH115, PTH116, PTH123, PTH208
from __future__ import annotations

import os

__all__ = [
    "ProcessStat",
    "alive",
    "boot_id",
    "descendants",
    "environ_value",
    "links_into",
    "pid_namespace",
    "pids",
    "stat",
]

PROC = "/proc"


class ProcessStat:
    """One line of `/proc/<pid>/stat`: state letter, parent, and start time in clock ticks since boot."""

    __slots__ = ("pid", "ppid", "start_ticks", "state")

    def __init__(self, pid: int, state: str, ppid: int, start_ticks: int) -> None:
        self.pid = pid
        self.state = state
        self.ppid = ppid
        self.start_ticks = start_ticks

    def __repr__(self) -> str:
        return f"<ProcessStat pid={self.pid} state={self.state} ppid={self.ppid}>"

    @property
    def dead(self) -> bool:
        """A zombie is dead: it only waits for its parent to notice."""
        return self.state in "ZX"


def pids() -> list[int]:
    """All process ids that can be seen."""
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def stat(pid: int) -> ProcessStat | None:
    """State of one process, or None if it is gone (or there is no /proc)."""
    # The name stands in parentheses and may hold spaces and parentheses itself: split after the last one (proc(5)).
    _, _, rest = _read(f"{PROC}/{pid}/stat").rpartition(b")")
    fields = rest.split()
    if len(fields) < 20:
        return None
    return ProcessStat(pid, fields[0].decode("ascii"), int(fields[1]), int(fields[19]))


def alive(pid: int, start_ticks: int | None = None) -> bool:
    """Whether this very process lives; with `start_ticks` a later process with the same id does not count."""
    if not os.path.isdir(PROC):
        return _signalable(pid)
    found = stat(pid)
    return found is not None and not found.dead and start_ticks in (None, found.start_ticks)


def _signalable(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def descendants(root: int) -> list[int]:
    """Living processes below `root`, at any depth, nearest first."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        found = stat(pid)
        if found is not None and not found.dead:
            children.setdefault(found.ppid, []).append(pid)
    result: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        result += below
        todo += below
    return result


def owner(pid: int) -> int | None:
    """User id of a process, or None if it is gone."""
    try:
        return os.stat(f"{PROC}/{pid}").st_uid
    except OSError:
        return None


def environ_value(pid: int, name: str) -> str | None:
    """One variable of the environment a process was started with, as far as we may read it."""
    prefix = name.encode() + b"="
    for entry in _read(f"{PROC}/{pid}/environ").split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode("utf-8", "replace")
    return None


def links_into(pid: int, directory: str) -> bool:
    """Whether the process works in `directory` or below (Postgres overwrites its environment, but sits in PGDATA)."""
    try:
        cwd = os.readlink(f"{PROC}/{pid}/cwd")
    except OSError:
        return False
    return cwd == directory or cwd.startswith((directory + "/", directory + " "))


def boot_id() -> str:
    """Names this boot of the machine; start times compare only within one. Empty where unknown."""
    return _read(f"{PROC}/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def pid_namespace() -> str:
    """Names the space in which process ids mean anything (containers have their own). Empty where unknown."""
    try:
        return os.readlink(f"{PROC}/self/ns/pid")
    except OSError:
        return ""
