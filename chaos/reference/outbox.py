"""The outbox: messages are written in the transaction of the data they announce, and relayed to JetStream after it.

One relay per service. Should two run, or an acknowledgement be lost, the message id lets JetStream drop the duplicate.
A relayed row is deleted: an empty table means that everything has been announced.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from chaos.reference import budget, telemetry
from chaos.reference.bus import Bus, travel_headers
from chaos.reference.database import Database
from chaos.reference.problems import Problem

__all__ = ["Entry", "Outbox"]

log = logging.getLogger(__name__)

_BATCH = 50
_POLL_S = 1.0
_PAUSE_S = 0.2


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way into the outbox; the op id comes from the row it announces."""

    subject: str
    message_id: str
    headers: bytes
    payload: bytes


class Outbox:
    """The outbox of one service, in its own table `<service>_outbox`."""

    def __init__(self, service: str, database: Database, bus: Bus) -> None:
        self._table = f"{service}_outbox"
        self._database = database
        self._bus = bus
        self._written = asyncio.Event()

    @staticmethod
    def table(service: str) -> str:
        """The DDL of a service's outbox."""
        return f"""
            CREATE TABLE IF NOT EXISTS {service}_outbox (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                op_id text NOT NULL,
                subject text NOT NULL,
                message_id text NOT NULL,
                headers bytea NOT NULL,
                payload bytea NOT NULL
            );
        """

    def entry(self, subject: str, message_id: str, payload: bytes) -> Entry:
        """A row for the statement that writes the data; its trace context is fixed here, where it is created."""
        attributes = {"messaging.system": "nats", "messaging.destination.name": subject}
        with telemetry.span("create", telemetry.SpanKind.PRODUCER, attributes):
            headers = {**travel_headers(), "Nats-Msg-Id": message_id}
        return Entry(subject=subject, message_id=message_id, headers=msgspec.json.encode(headers), payload=payload)

    def nudge(self) -> None:
        """Tell the relay that a transaction with a message was committed."""
        self._written.set()

    async def relay(self) -> None:
        """Relay what is written until cancelled; polls as well, for rows left by a crash or a lost connection."""
        while True:
            await self._database.ready.wait()
            await self._bus.ready.wait()
            self._written.clear()
            try:
                more = await self._relay_batch()
            except Problem as problem:
                log.warning("outbox waits: %s", problem)
                await asyncio.sleep(_PAUSE_S)
                continue
            if not more:
                await self._wait()

    async def _relay_batch(self) -> bool:
        select = f"SELECT id, subject, headers, payload FROM {self._table} ORDER BY id LIMIT {_BATCH}"  # noqa: S608
        rows = await self._database.fetch(f"SELECT {self._table}", select)
        published: list[int] = []
        try:
            for row in rows:
                headers = _current(row["headers"])
                if self._bus.defects.on("announcement-without-id"):
                    del headers["Nats-Msg-Id"]
                await self._bus.publish(row["subject"], row["payload"], headers)
                published.append(row["id"])
        finally:
            if published:
                delete = f"DELETE FROM {self._table} WHERE id = ANY($1)"  # noqa: S608
                await self._database.fetch(f"DELETE {self._table}", delete, published)
        return len(rows) == _BATCH

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._written.wait()
        except TimeoutError:
            return


def _current(stored: bytes) -> dict[str, str]:
    """The stored headers with the relative budget brought up to date."""
    headers = msgspec.json.decode(stored, type=dict[str, str])
    if (deadline := headers.get(budget.DEADLINE_HEADER)) is not None:
        headers[budget.BUDGET_HEADER] = str(max(0, int(deadline) - int(time.time() * 1000)))
    return headers
