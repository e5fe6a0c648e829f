"""Leases: the right of toxics to exist. Not renewed within its time to live, or at its hard end, a lease takes them along."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

from chaos.proxy.errors import LeaseNotFoundError, LeaseTakenError
from chaos.proxy.stage import MAX_NS, MS
from chaos.proxy.timers import Timer, Timers

__all__ = ["Lease", "Leases"]


class Lease:
    """`expires_ns` is moved by renewals; `hard_end_ns` never moves later."""

    def __init__(self, holder: str, ttl_ns: int, hard_end_ns: int, now_ns: int, *, exclusive: bool) -> None:
        self.id = uuid4().hex
        self.holder = holder
        self.exclusive = exclusive
        self.since_ns = now_ns
        self.ttl_ns = ttl_ns
        self.expires_ns = now_ns + ttl_ns
        self.hard_end_ns = hard_end_ns
        self.timer: Timer | None = None

    def __repr__(self) -> str:
        return f"<Lease {self.id} {self.holder} exclusive={self.exclusive}>"

    @property
    def ends_ns(self) -> int:
        """When it ends unless it is renewed."""
        return min(self.expires_ns, self.hard_end_ns)


class Leases:
    """`ended(lease, reason)` is called once for each: `lease` (not renewed), `hard-end`, or `healed` (given back)."""

    def __init__(self, timers: Timers, emit: Callable[..., None]) -> None:
        self._emit = emit
        self.ended: Callable[[Lease, str], None] = lambda _lease, _reason: None
        self._timers = timers
        self._leases: dict[str, Lease] = {}

    def all(self) -> tuple[Lease, ...]:
        """Those that live, oldest first."""
        return tuple(self._leases.values())

    def get(self, lease_id: str) -> Lease:
        """The lease of that id. Raises LeaseNotFoundError."""
        try:
            return self._leases[lease_id]
        except KeyError:
            raise LeaseNotFoundError(lease_id) from None

    def acquire(self, *, holder: str, ttl_ms: float, hard_end_ms: float, exclusive: bool = True) -> Lease:
        """A new lease; both times count from now. Raises LeaseTakenError when somebody holds an exclusive one."""
        now_ns = time.monotonic_ns()
        for lease in self._leases.values():
            if exclusive and lease.exclusive:
                raise LeaseTakenError(lease.holder, (now_ns - lease.since_ns) / MS)
        lease = Lease(holder, _ns(ttl_ms), now_ns + _ns(hard_end_ms), now_ns, exclusive=exclusive)
        self._leases[lease.id] = lease
        self._watch(lease)
        self._emit("lease.acquired", lease=lease.id, holder=holder, exclusive=exclusive)
        return lease

    def renew(self, lease_id: str, *, hard_end_ms: float | None = None) -> Lease:
        """Start its time to live anew; a new hard end (from now) counts only if it is earlier. Raises LeaseNotFoundError."""
        lease = self.get(lease_id)
        now_ns = time.monotonic_ns()
        lease.expires_ns = now_ns + lease.ttl_ns
        if hard_end_ms is not None:
            lease.hard_end_ns = min(lease.hard_end_ns, now_ns + _ns(hard_end_ms))
        self._watch(lease)
        return lease

    def release(self, lease_id: str) -> None:
        """Give it back; its toxics go. Raises LeaseNotFoundError."""
        self._end(self.get(lease_id), "healed")

    def close(self) -> None:
        """Forget all, without ending anything."""
        for lease in self._leases.values():
            if lease.timer is not None:
                lease.timer.cancel()
        self._leases.clear()

    def _watch(self, lease: Lease) -> None:
        if lease.timer is not None:
            lease.timer.cancel()
        reason = "hard-end" if lease.hard_end_ns <= lease.expires_ns else "lease"
        lease.timer = self._timers.at(lease.ends_ns, lambda: self._end(lease, reason))

    def _end(self, lease: Lease, reason: str) -> None:
        if self._leases.pop(lease.id, None) is not None:
            if lease.timer is not None:
                lease.timer.cancel()
            self.ended(lease, reason)
            self._emit("lease.ended", lease=lease.id, holder=lease.holder, reason=reason)


def _ns(ms: float) -> int:
    return min(round(max(0.0, ms) * MS), MAX_NS)
