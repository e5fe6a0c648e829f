"""System V shared memory that a killed Postgres leaves behind: found by its creator, removed by id. Linux only.

Standard library only: the supervisor imports this.
"""

# pathlib is slow to import, and the supervisor has to start in tens of milliseconds.
# ruff: noqa: PTH110, PTH123
from __future__ import annotations

import ctypes
import os

__all__ = ["remove_segments", "segments_of"]

_IPC_RMID = 0  # <sys/ipc.h>


def segments_of(creators: set[int], owner_uid: int | None = None) -> list[int]:
    """Ids of segments created by one of these processes that nobody has attached any more.

    `owner_uid` guards against a recycled process id: only segments of that user count.
    """
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []
    # Columns (proc_sysvipc_shm(5)): key shmid perms size cpid lpid nattch uid ...
    return [
        int(row[1]) for row in rows if int(row[4]) in creators and int(row[6]) == 0 and owner_uid in (None, int(row[7]))
    ]


def remove_segments(shmids: list[int]) -> list[int]:
    """Remove segments; the ids that could not be removed are returned."""
    if not shmids:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    return [shmid for shmid in shmids if libc.shmctl(shmid, _IPC_RMID, None) != 0 and os.path.exists("/proc")]
