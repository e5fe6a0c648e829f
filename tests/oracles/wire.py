"""Wire records by hand: what a correct system shows of an operation along its route, and changes to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from chaos.model.operation import Operation
from chaos.model.wire_record import WireRecord

MS = 1_000_000
_POSTGRES = ">postgres"
_STEP_MS = 1


def trail(one: Operation, *, connection: int = 1) -> tuple[WireRecord, ...]:
    """The messages of an operation, each inside the one before it: fresh parents, budgets that shrink, answers that are ok.

    Over NATS it is published by the driver, delivered to a service, and what that service makes of it is published at the end.
    """
    if one.answer.layer == "driver":
        return ()
    last_ns = one.end_ns or one.start_ns + 40 * MS
    rows: list[WireRecord] = []
    for depth, link in enumerate(name for name in one.route if not name.endswith(_POSTGRES)):
        step_ns = (depth + 1) * _STEP_MS * MS
        times_ns = one.start_ns + step_ns, max(last_ns - step_ns, one.start_ns + step_ns + MS // 2)
        delivered = link.endswith(">nats") and not link.startswith("driver")
        parent = depth - 1 if delivered else depth  # a publish and its delivery are one hop
        signature = _signature(link, delivered=delivered)
        direction = "<" if delivered else ">"
        rows += pair(
            one,
            link,
            signature,
            times_ns,
            connection=connection,
            direction=direction,
            parent=parent,
            budget_ms=one.deadline_ms - 100 * parent,
            status="+ACK" if delivered else "ok" if link.endswith(">nats") else "200",
        )
        if delivered and one.asynchronous:
            rows += pair(
                one,
                link,
                "PUB ref.results.{id}",
                (times_ns[1] - MS // 4, times_ns[1] - MS // 8),
                connection=connection + 1,
                parent=90,
                budget_ms=one.deadline_ms - 200,
                status="ok",
                digest=f"result-{one.op_id}",
            )
    return tuple(rows)


def _signature(link: str, *, delivered: bool) -> str:
    if link.endswith(">nats"):
        return f"{'MSG' if delivered else 'PUB'} ref.tasks"
    return f"POST /{link.partition('>')[2]}"


def pair(
    one: Operation,
    link: str,
    signature: str,
    times_ns: tuple[int, int],
    *,
    connection: int = 1,
    direction: str = ">",
    parent: int = 50,
    budget_ms: float | None = 1000.0,
    status: str = "200",
    digest: str = "body.9",
    faults: tuple[str, ...] = (),
    retry_after_s: float | None = None,
) -> tuple[WireRecord, WireRecord]:
    """A request of the operation and its reply; times are CLOCK_MONOTONIC. The body's digest is known at the end only, as on HTTP."""
    begin_ns, end_ns = times_ns
    request = WireRecord(
        t_ns=begin_ns,
        kind="request",
        link=link,
        connection=connection,
        number=begin_ns,
        direction=direction,
        signature=signature,
        nbytes=100,
        trace_id=one.trace_id,
        parent_id=f"{parent:016x}",
        sampled=True,
        op_id=one.op_id,
        budget_ms=budget_ms,
    )
    reply = msgspec.structs.replace(
        request,
        t_ns=end_ns,
        kind="reply",
        direction="<" if direction == ">" else ">",
        status=status,
        digest=digest,
        faults=faults,
        retry_after_s=retry_after_s,
    )
    return request, reply


def attempts(
    one: Operation,
    link: str,
    *at_ms: float,
    status: str = "503",
    took_ms: float = 1.0,
    digest: str = "body.9",
    **fields: Any,
) -> tuple[WireRecord, ...]:
    """The same request sent again and again, each so long after the operation's start, all answered so."""
    rows: list[WireRecord] = []
    for at in at_ms:
        begin_ns = one.start_ns + int(at * MS)
        times_ns = begin_ns, begin_ns + int(took_ms * MS)
        rows += pair(one, link, "POST /again", times_ns, status=status, digest=digest, connection=7, **fields)
    return tuple(rows)


def changed(rows: Iterable[WireRecord], which: Callable[[WireRecord], bool], **fields: Any) -> tuple[WireRecord, ...]:
    """The records with fields replaced in those that are picked."""
    return tuple(msgspec.structs.replace(row, **fields) if which(row) else row for row in rows)


def sent_on(link: str) -> Callable[[WireRecord], bool]:
    """Picks what was sent on a link."""
    return lambda row: row.link == link and row.kind == "request" and row.direction == ">"


def trails(operations: Iterable[Operation]) -> tuple[WireRecord, ...]:
    """The messages of all operations, in time, each operation on a connection of its own."""
    rows = [row for number, one in enumerate(operations) for row in trail(one, connection=1000 + 2 * number)]
    return tuple(sorted(rows, key=lambda row: row.t_ns))
