"""Leases on disk: written before the first fault, so that `recover` knows what a dead run may have left on which proxy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chaos.model.base import Data

__all__ = ["StoredLease", "keep_lease", "stored_leases"]


class StoredLease(Data, frozen=True, kw_only=True):
    """What a run may have changed on a proxy. `links` are the proxies it made; every fault on them is its own."""

    run_id: str
    pid: int
    proxy_url: str
    links: tuple[str, ...]


def _folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "chaos-drill" / "leases"


@contextmanager
def keep_lease(lease: StoredLease) -> Iterator[None]:
    """Hold the lease's file while the block runs; a file that stays behind belongs to a run that died."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{lease.run_id}.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(msgspec.json.encode(lease))
    temporary.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def stored_leases() -> list[tuple[Path, StoredLease | None]]:
    """Every lease file with its content; None where it cannot be read."""
    found: list[tuple[Path, StoredLease | None]] = []
    for path in sorted(_folder().glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=StoredLease)))
        except (msgspec.DecodeError, OSError):
            found.append((path, None))
    return found
