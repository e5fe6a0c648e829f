"""What runs that were killed together with their supervisor left behind: found by owner file, removed, proven gone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import msgspec

from chaos.errors import HealError
from chaos.system import procfs, sharedmem, trees
from chaos.system.environment import RUN_VARIABLE
from chaos.system.scratch import PREFIX, read_owner, scratch_roots

__all__ = ["Leftover", "clear", "find_leftovers", "remove_leftover"]

# What `make_scratch` names them. Other folders of this user may begin alike (notes, the leases): they are not ours to remove.
_NAME = re.compile(rf"{re.escape(PREFIX)}[0-9a-f]{{8}}")
_UNOWNED_AGE_S = 60.0  # a directory without an owner file is either being made right now, or of a dead run
_DEATH_DEADLINE_S = 5.0
_PAUSE_S = 0.02


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A scratch directory whose run is dead, and the processes that still belong to it."""

    path: Path
    run: str
    pids: tuple[int, ...]

    def __str__(self) -> str:
        living = f"processes {', '.join(map(str, self.pids))}" if self.pids else "no process"
        return f"run {self.run or 'unknown'}: {self.path}, {living}"


def find_leftovers(roots: tuple[Path, ...] | None = None) -> tuple[Leftover, ...]:
    """Everything of ours (this user's) whose run is dead and whose supervisor is not at work any more."""
    found = []
    for root in roots or scratch_roots():
        for path in sorted(root.glob(f"{PREFIX}*")):
            leftover = _examine(path)
            if leftover is not None:
                found.append(leftover)
    return tuple(found)


def _examine(path: Path) -> Leftover | None:
    try:
        about = path.lstat()
    except FileNotFoundError:
        return None
    if not path.is_dir() or path.is_symlink() or about.st_uid != os.geteuid():
        return None  # others may put directories of that name here: touch only our own
    owner = read_owner(path)
    if owner is None and (not _NAME.fullmatch(path.name) or time.time() - about.st_mtime < _UNOWNED_AGE_S):
        return None
    if owner is not None and owner.lives:
        return None
    return Leftover(path=path, run=owner.run if owner else "", pids=_belonging(path))


def _belonging(path: Path) -> tuple[int, ...]:
    """Living processes that were started with this scratch directory's mark, or that work inside it."""
    return tuple(
        pid
        for pid in procfs.pids()
        if pid != os.getpid()
        and procfs.alive(pid)
        and (procfs.environ_value(pid, RUN_VARIABLE) == path.name or procfs.links_into(pid, str(path)))
    )


def remove_leftover(leftover: Leftover) -> tuple[int, ...]:
    """End its processes, remove its shared memory and its directory; the processes that were ended.

    Proves it by looking again: raises HealError naming what is still there.
    """
    if (owner := read_owner(leftover.path)) is not None and owner.lives:
        raise HealError(f"{leftover.path} belongs to run {owner.run}, which is alive (process {owner.pid})")
    return clear(leftover.path, leftover.run)


def clear(path: Path, run: str) -> tuple[int, ...]:
    """End the processes of a scratch directory, alive run or not, remove what it holds; the processes that were ended.

    Raises HealError naming what is still there.
    """
    creators = {pid: uid for pid in _belonging(path) if (uid := procfs.owner(pid)) is not None}
    ended = _end(path)
    sharedmem.remove_segments(sharedmem.segments_of(creators, str(path)))
    gone = trees.remove_tree(str(path))
    left = _belonging(path)
    if left or not gone:
        remains = [f"processes {', '.join(map(str, left))}"] if left else []
        remains += [] if gone else [f"directory {path}"]
        raise HealError(f"of run {run} there is still {' and '.join(remains)}; end or remove it by hand")
    return ended


def _end(path: Path) -> tuple[int, ...]:
    ended: set[int] = set()
    deadline = time.monotonic() + _DEATH_DEADLINE_S
    while (living := _belonging(path)) and time.monotonic() < deadline:
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)  # ends stopped processes too
        ended.update(living)
        time.sleep(_PAUSE_S)  # the kernel tells only parents
    return tuple(sorted(ended))
