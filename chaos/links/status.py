"""What a proxy tells of itself: links, toxics and connections with live counters, and events."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos.model.base import Data

__all__ = ["LinkConnection", "LinkEvent", "LinkStatus", "ToxicStatus"]


class ToxicStatus(Data, frozen=True, kw_only=True):
    """A toxic on a link. `since_ns` is its onset on the proxy's clock, None while it is armed; `hits` counts what it acted on."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, int]
    fault: str
    lease: str | None = None
    active: bool
    since_ns: int | None = None
    at_ns: int | None = None
    for_ms: float | None = None
    hits: int


class LinkStatus(Data, frozen=True, kw_only=True):
    """A link. Bytes by direction, `upstream` and `downstream`: taken from the sender, and passed on; live connections included."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    protocol: str | None = None
    connections: int
    connections_total: int
    received_bytes: dict[str, int]
    sent_bytes: dict[str, int]
    toxics: tuple[ToxicStatus, ...] = ()


class LinkConnection(Data, frozen=True, kw_only=True):
    """A connection through a link. `held_bytes` wait in toxics; `toxics` are those that take hold of it."""

    id: int
    link: str = msgspec.field(name="proxy")
    connection: int
    client: str
    upstream: str
    state: str
    age_ms: float
    received_bytes: dict[str, int]
    sent_bytes: dict[str, int]
    held_bytes: dict[str, int]
    toxics: tuple[str, ...] = ()


class LinkEvent(Data, frozen=True, kw_only=True):
    """Something that happened at `t_ns` of the proxy's clock; kinds and their members stand in docs/proxy.md."""

    t_ns: int
    event: str
    members: dict[str, Any]

    @classmethod
    def decode(cls, line: str | bytes) -> LinkEvent:
        """From a line of the stream."""
        members = msgspec.json.decode(line, type=dict[str, Any])
        return cls(t_ns=members.pop("t_ns"), event=members.pop("event"), members=members)
