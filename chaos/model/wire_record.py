"""Wire records: what the proxy saw on a link, one row per framed message or connection event."""

from __future__ import annotations

import msgspec

__all__ = ["HOUSEKEEPING", "WIRE_KINDS", "WireRecord"]

HOUSEKEEPING = "~"
"""Begins the signature of what no operation consists of: a pool's reset, a driver's look at types, pings, TLS requests."""

WIRE_KINDS = (
    "open",  # a connection was accepted and its upstream dialled, `digest` tells from which port: `port=`
    "close",  # a connection ended; `status` is how: fin, rst, dial-failed, killed, limit (one too many)
    "request",  # a framed request passed on or held (http: head complete)
    "reply",  # a framed reply's end, or its abort; carries what happened to its exchange
    "raw",  # the stream cannot be framed from here on and passes untouched
    "touch",  # not on a framed http link: the first time a fault acted on this connection in this direction
    "acted",  # a message fault acted on this message, now; `status` says when and how: after cut, during:3 truncate, connect drop
    "rewrite",  # the proxy changed bytes of its own accord; `signature` says where, `status` what
    "on",  # a fault began on this link (actual onset)
    "off",  # a fault ended on this link; `status` is why: ended, healed, lease, hard-end, replaced
    "lost",  # `nbytes` records were dropped here
)


class WireRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=False):
    """One row of the wire log; encoded as a msgpack array in this order, so the proxy appends plain tuples.

    `t_ns` is CLOCK_MONOTONIC nanoseconds. `number` counts requests on the connection and pairs a request with its reply. A
    `request` with direction `<` is a message delivered to the caller (nats, postgres notifications); its `reply` has direction `>`.
    `direction` is `>` (caller to callee), `<`, or `` for connection and fault events. `faults` are the names of faults that acted on
    the message. The fields from `trace_id` on are filled where the protocol shows them.
    """

    t_ns: int
    kind: str
    link: str
    connection: int = 0
    number: int = 0
    direction: str = ""
    signature: str = ""
    nbytes: int = 0
    faults: tuple[str, ...] = ()
    status: str = ""
    trace_id: str = ""
    parent_id: str = ""
    sampled: bool | None = None
    op_id: str = ""
    budget_ms: float | None = None
    retry_after_s: float | None = None
    digest: str = ""
    terminal: bool | None = None
    deliveries: int = 0
