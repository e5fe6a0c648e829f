"""What came of operations: their rows in Postgres and their messages in the streams, once all is quiet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import nats
from nats.aio.client import Client

from tests.reference.rig import Backend, Op, envelope

_QUIET_S = 30


class Effects:
    """Submits tasks and counts effects, on connections of its own past the relays."""

    def __init__(self, backend: Backend, client: Client, connection: Any) -> None:
        self._backend = backend
        self._client = client
        self._jetstream = client.jetstream()
        self._connection = connection

    async def submit(self, op: Op, **changes: object) -> None:
        """Put a task on the queue; returns when it is accepted."""
        task = {"tenant": "acme", "task": f"tell me {op.nonce}", "query": "anything", "op_id": op.id} | changes
        subject = f"{self._backend.namespace}.tasks.acme"
        await self._jetstream.publish(subject, envelope("task", **task), headers=op.queue_headers())

    async def rows(self, table: str, op: Op) -> int:
        """How many rows of a table an operation has."""
        sql = f"SELECT count(*) FROM {self._backend.namespace}.{table} WHERE op_id = $1"
        return int(await self._connection.fetchval(sql, op.id))

    async def messages(self, stream: str, op: Op) -> list[dict[str, Any]]:
        """The stored messages of an operation, decoded, in one of the backend's streams."""
        return [msgspec.json.decode(one.data) for one in await self._stored(stream, op)]

    async def headers(self, stream: str, op: Op) -> list[dict[str, str]]:
        """The headers of an operation's stored messages."""
        return [one.headers for one in await self._stored(stream, op)]

    async def _stored(self, stream: str, op: Op) -> list[Any]:
        name = f"{self._backend.namespace.upper()}_{stream}"
        state = (await self._jetstream.stream_info(name)).state
        stored = [
            await self._jetstream.get_msg(name, seq) for seq in range(max(1, state.first_seq), state.last_seq + 1)
        ]
        return [one for one in stored if one.headers and f"op.id={op.id}" in one.headers["baggage"]]

    async def quiet(self) -> None:
        """Wait until no task waits or is in work, and nothing is left to announce."""
        async with asyncio.timeout(_QUIET_S):
            while await self._left():
                await asyncio.sleep(0.05)

    async def redelivered(self) -> None:
        """Wait until a task was delivered twice."""
        async with asyncio.timeout(_QUIET_S):
            while not (await self._consumer()).num_redelivered:
                await asyncio.sleep(0.02)

    async def _left(self) -> int:
        left = 0
        for service in ("agent", "rag"):
            left += await self._connection.fetchval(f"SELECT count(*) FROM {self._backend.namespace}.{service}_outbox")
        consumer = await self._consumer()
        return left + (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)

    async def _consumer(self) -> Any:
        return await self._jetstream.consumer_info(f"{self._backend.namespace.upper()}_TASKS", "agent")


@asynccontextmanager
async def effects_of(backend: Backend) -> AsyncIterator[Effects]:
    """The effects of a backend that has been started."""
    client = await nats.connect(backend.nats_server.url.reveal())
    connection = await asyncpg.connect(backend.postgres.dsn.reveal())
    try:
        yield Effects(backend, client, connection)
    finally:
        await connection.close()
        await client.close()
