"""Leases on disk: written before the first fault, so that `recover` knows what a dead run may have left on which proxy."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from chaos.errors import NotReadyError
from chaos.model.base import Data
from chaos.system import procfs

__all__ = ["StoredLease", "keep_lease", "stored_leases"]


class StoredLease(Data, frozen=True, kw_only=True):
    """What a run may have changed on a proxy.

    `pid` with `start_ticks` (since boot) is its conductor; `links` are the proxies it made: every fault on them is its own.
    `toxiproxy_url` is that of a real server behind it, on which the run's proxies are named after it.
    """

    run_id: str
    pid: int
    start_ticks: int
    proxy_url: str
    links: tuple[str, ...]
    toxiproxy_url: str = ""

    @classmethod
    def of_this_process(cls, run_id: str, proxy_url: str, links: tuple[str, ...], toxiproxy_url: str = "") -> Self:
        """The lease of a run that this process conducts."""
        own = procfs.stat(os.getpid())
        ticks = own.start_ticks if own is not None else 0
        return cls(
            run_id=run_id,
            pid=os.getpid(),
            start_ticks=ticks,
            proxy_url=proxy_url,
            links=links,
            toxiproxy_url=toxiproxy_url,
        )

    @property
    def lives(self) -> bool:
        """Whether the conductor is still there; a process id that was given to somebody else does not count."""
        return procfs.alive(self.pid, self.start_ticks or None)


def _folders() -> tuple[Path, ...]:
    """Where leases may be, best place first; an account without a home that it can write to has the second."""
    temporary = Path(tempfile.gettempdir()) / f"chaos-drill-{os.getuid()}" / "leases"
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    except RuntimeError:  # neither HOME nor an entry in the user database, as in many containers
        return (temporary,)
    return base / "chaos-drill" / "leases", temporary


def _writable_folder() -> Path:
    for folder in _folders():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if _ours(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise NotReadyError(
        f"leases cannot be stored in {_folders()[0]}; set XDG_STATE_HOME to a folder that can be written"
    )


@contextmanager
def keep_lease(lease: StoredLease) -> Iterator[None]:
    """Hold the lease's file while the block runs; a file that stays behind belongs to a run that died."""
    path = _writable_folder() / f"{lease.run_id}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(lease))
    temporary.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def stored_leases() -> list[tuple[Path, StoredLease | None]]:
    """Every lease file of this account with its content; None where it cannot be read.

    The temporary folder is everybody's: what somebody else put there, or a symbolic link, is no lease of ours.
    """
    found: list[tuple[Path, StoredLease | None]] = []
    for path in sorted(path for folder in _folders() for path in _files(folder)):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=StoredLease)))
        except (msgspec.DecodeError, OSError):
            found.append((path, None))
    return found


def _files(folder: Path) -> list[Path]:
    """The lease files of a folder. One that this account may not enter holds none that it wrote."""
    try:
        return [path for path in folder.glob("*.json") if _owned(path, stat.S_ISREG)] if _ours(folder) else []
    except PermissionError:
        return []


def _ours(folder: Path) -> bool:
    """Whether the folder, and the one above it that is named after the tool, were made by this account."""
    return all(_owned(one, stat.S_ISDIR) for one in (folder.parent, folder))


def _owned(path: Path, of_kind: Callable[[int], bool]) -> bool:
    try:
        about = path.lstat()
    except OSError:
        return False
    return of_kind(about.st_mode) and about.st_uid == os.geteuid()
