"""The private directory of a run: sockets, PGDATA, JetStream store. Short path, on tmpfs where there is room.

An owner file in it names the process that made it, so that what a dead run left can be found (see `leftovers`).
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from pathlib import Path

import msgspec

from chaos.errors import NotReadyError
from chaos.system import procfs, trees
from chaos.system.accounts import Account, may_enter, unprivileged_account
from chaos.system.supervisor.loop import OWNER_FILE

__all__ = ["PREFIX", "Owner", "Scratch", "make_scratch", "read_owner", "scratch_roots"]

PREFIX = "chaos-"
_SHM = "/dev/shm"  # noqa: S108 - a place, not a file name: names in it are random and made with mode 0700
_ROOM_BYTES = 512 * 1024 * 1024


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who made a scratch directory. Start times count in ticks since the boot that `boot` names."""

    run: str
    pid: int
    start_ticks: int
    boot: str
    pid_namespace: str
    created_unix_s: float

    @property
    def lives(self) -> bool:
        """Whether the process that made the directory is still there."""
        if self.boot == procfs.boot_id() and self.pid_namespace != procfs.pid_namespace():
            return True  # of another container: we cannot see its processes, so we must not judge them
        return self.boot == procfs.boot_id() and procfs.alive(self.pid, self.start_ticks or None)


class Scratch(msgspec.Struct, frozen=True, kw_only=True):
    """A scratch directory and the run it belongs to."""

    path: Path
    run: str

    def make(self, name: str, account: Account | None = None) -> Path:
        """A directory of mode 0700 in it, given to `account` if there is one."""
        path = self.path / name
        path.mkdir(mode=0o700)
        if account is not None:
            os.chown(path, account.uid, account.gid)
        return path


def scratch_roots() -> tuple[Path, ...]:
    """Where scratch directories may be, best place first."""
    temp = Path(tempfile.gettempdir())
    return tuple(root for root in (Path(_SHM), temp) if root.is_dir())


def make_scratch(run: str, root: Path | None = None) -> Scratch:
    """Make the scratch directory of a run and its owner file. Whoever opens the run's children removes it again.

    Raises NotReadyError where there is no place for it.
    """
    try:
        path = (root or _choose_root()) / f"{PREFIX}{secrets.token_hex(4)}"
        path.mkdir(mode=0o700)
    except OSError as error:
        raise NotReadyError(
            f"no scratch directory can be made ({error}); set TMPDIR to a directory with room"
        ) from error
    try:
        _own(path, run)
    except OSError as error:
        trees.remove_tree(str(path))
        raise NotReadyError(f"{path} takes no files ({error}); set TMPDIR to a directory with room") from error
    return Scratch(path=path, run=run)


def _own(path: Path, run: str) -> None:
    """Write the owner file, and let pass who has to."""
    own = procfs.stat(os.getpid())
    owner = Owner(
        run=run,
        pid=os.getpid(),
        start_ticks=own.start_ticks if own else 0,
        boot=procfs.boot_id(),
        pid_namespace=procfs.pid_namespace(),
        created_unix_s=time.time(),
    )
    (path / OWNER_FILE).write_text(json.dumps(msgspec.to_builtins(owner)))
    if os.geteuid() == 0:
        path.chmod(0o711)  # the account Postgres runs as has to pass through to PGDATA, but may not look around


def _choose_root() -> Path:
    account = unprivileged_account()
    for root in scratch_roots():
        found = os.statvfs(root)
        room = found.f_bavail * found.f_frsize >= _ROOM_BYTES
        if room and os.access(root, os.W_OK | os.X_OK) and (account is None or may_enter(root, account)):
            return root
    return Path(tempfile.gettempdir())


def read_owner(path: Path) -> Owner | None:
    """The owner file of a scratch directory; None if it is missing, unreadable or not ours."""
    try:
        return msgspec.json.decode((path / OWNER_FILE).read_bytes(), type=Owner)
    except (OSError, msgspec.MsgspecError):
        return None
