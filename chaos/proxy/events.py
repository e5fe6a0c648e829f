"""The event stream: what happens to proxies, toxics, leases and connections, one JSON line each with its monotonic time.

Meant for people and tools that watch; the evidence of a run is the wire log. Without a watcher an event costs one comparison.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from chaos.proxy.wirelog import Subscription

__all__ = ["EVENT_KINDS", "EventHub", "EventStream"]

EVENT_KINDS = {
    "watching": "the first line: everything from here on is told",
    "proxy.created": "a proxy is there: `listen`, `upstream`",
    "proxy.started": "it listens",
    "proxy.stopped": "it no longer listens; its connections are closed",
    "proxy.removed": "it is gone",
    "toxic.added": "a toxic is there, active or armed: `type`, `stream`, `lease`",
    "toxic.on": "it began",
    "toxic.updated": "its attributes or toxicity changed",
    "toxic.off": "it ended; `reason` is why: ended, healed, lease, hard-end",
    "lease.acquired": "`holder` took a lease",
    "lease.ended": "it is over; `reason` is why: healed, lease, hard-end",
    "connection.open": "a connection was accepted and its upstream dialled: `id`, `client`",
    "connection.close": "it ended: `status` is how, `fault` what caused it, `received_bytes` both ways together",
    "config.reloaded": "the config file was read again: `created`, `changed`, `removed`",
    "lost": "this reader was too slow: `count` events are missing here",
}
"""Every kind of line and what it says."""

BACKLOG_BYTES = 1024 * 1024
_encode = msgspec.json.Encoder().encode


class EventStream(Subscription):
    """Lines for one reader, in order; beyond the bound the oldest go, and a `lost` line stands where they were."""

    def loss(self, t_ns: int, count: int) -> bytes:
        """The line that tells a loss."""
        return _line(t_ns, "lost", {"count": count})


class EventHub:
    """`emit()` hands a line to every watcher and never waits."""

    def __init__(self, limit_bytes: int = BACKLOG_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._streams: list[EventStream] = []

    def emit(self, event: str, **members: Any) -> None:
        """Tell the watchers; members that are None are left out."""
        if not self._streams:
            return
        line = _line(time.monotonic_ns(), event, members)
        for stream in self._streams:
            stream.put(line, 1)

    @contextmanager
    def subscribe(self) -> Iterator[EventStream]:
        """Lines from here on, each ended by a line feed."""
        stream = EventStream(self._limit_bytes)
        stream.put(_line(time.monotonic_ns(), "watching", {}), 1)
        self._streams.append(stream)
        try:
            yield stream
        finally:
            self._streams.remove(stream)
            stream.close()

    def close(self) -> None:
        """End every stream after what waits in it."""
        for stream in self._streams:
            stream.close()


def _line(t_ns: int, event: str, members: dict[str, Any]) -> bytes:
    given = {key: value for key, value in members.items() if value is not None}
    return _encode({"t_ns": t_ns, "event": event, **given}) + b"\n"
