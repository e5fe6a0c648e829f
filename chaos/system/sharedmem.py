"""System V shared memory that a killed Postgres leaves behind: found by its creator, removed by id. Linux only.

Standard library only: the supervisor imports this.
"""

# pathlib is slow to import, and the supervisor has to start in tens of milliseconds.
# ruff: noqa: PTH110, PTH116, PTH123
from __future__ import annotations

import ctypes
import os

from chaos.system import procfs

__all__ = ["remove_segments", "segments_of"]

_IPC_RMID = 0  # <sys/ipc.h>
_KEY_TRIES = 16  # Postgres takes the next key when one is in use
_KEY_BITS = 0xFFFFFFFF


def segments_of(creators: dict[int, int], scratch: str) -> list[int]:
    """Ids of segments nobody has attached any more that come from a run: made by one of `creators` (process id to user
    id, which guards against recycled ids), or by a Postgres whose data directory lies in `scratch`.
    """
    keys = _postgres_keys(scratch)
    return [
        shmid
        for key, shmid, creator, attached, uid in _segments()
        if attached == 0 and not procfs.alive(creator) and (creators.get(creator) == uid or key in keys)
    ]


def _segments() -> list[tuple[int, int, int, int, int]]:
    """Key, id, creating process, attached processes and user of every segment."""
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as file:
            rows = [line.split() for line in file.readlines()[1:]]
    except OSError:
        return []
    # Columns (proc_sysvipc_shm(5)): key shmid perms size cpid lpid nattch uid ...
    return [(int(row[0]) & _KEY_BITS, int(row[1]), int(row[4]), int(row[6]), int(row[7])) for row in rows]


def _postgres_keys(scratch: str) -> set[int]:
    """Postgres derives the key from the inode of its data directory (so do the helpers of initdb, who are nobody's
    direct children).
    """
    keys: set[int] = set()
    for folder, folders, files in os.walk(scratch):
        if "PG_VERSION" in files:
            inode = os.stat(folder).st_ino
            keys.update((inode + step) & _KEY_BITS for step in range(_KEY_TRIES))
            folders.clear()
    return keys


def remove_segments(shmids: list[int]) -> list[int]:
    """Remove segments; the ids that could not be removed are returned."""
    if not shmids:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    return [shmid for shmid in shmids if libc.shmctl(shmid, _IPC_RMID, None) != 0 and os.path.exists("/proc")]
