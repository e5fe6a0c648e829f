"""Stores of their own for tests of the ledger, on the shared servers: a schema, a stream, and the declaration of what is in them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StreamConfig

from chaos.ledger import Access, Limits
from chaos.model.effect import EffectKind, Ledger, SqlRead, StreamRead, Unfinished
from chaos.system import NatsServer, PostgresServer

LIMITS = Limits(quiet_s=20.0, read_s=20.0, call_s=5.0)


@dataclass(frozen=True, slots=True)
class Stores:
    """A connection of the application's role to a schema `name`, JetStream with a stream of that name, and how a ledger gets there."""

    name: str
    database: Any
    client: Client
    access: Access

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream as an application uses it."""
        return self.client.jetstream(timeout=10)

    @property
    def ledger(self) -> Ledger:
        """Orders in Postgres, events in the stream, and an outbox between them."""
        return Ledger(
            effects=(
                EffectKind(
                    name="order",
                    about="order row",
                    store="postgres",
                    read=SqlRead(sql=f"SELECT op_id, count(*) FROM {self.name}.orders GROUP BY op_id"),
                ),
                EffectKind(name="event", about="event message", store="nats", read=StreamRead(stream=self.name)),
            ),
            unfinished=(Unfinished(name="outbox", sql=f"SELECT count(*) FROM {self.name}.outbox"),),
            streams=(self.name,),
        )

    async def order(self, *op_ids: str) -> None:
        """Store orders."""
        await self.database.executemany(
            f"INSERT INTO {self.name}.orders (op_id) VALUES ($1)", [(one,) for one in op_ids]
        )

    async def event(self, *op_ids: str) -> None:
        """Publish events."""
        for one in op_ids:
            await self.jetstream.publish(f"{self.name}.event", b"{}", headers={"baggage": f"op.id={one}"})


@asynccontextmanager
async def open_stores(
    postgres: PostgresServer, server: NatsServer, *, retention: RetentionPolicy = RetentionPolicy.LIMITS
) -> AsyncIterator[Stores]:
    """Make a schema and a stream; both are gone when the block ends."""
    name = f"l{secrets.token_hex(5)}"
    database = await asyncpg.connect(postgres.dsn.reveal(), timeout=10)
    client = await nats.connect(server.url.reveal(), connect_timeout=10)
    try:
        await database.execute(
            f"CREATE SCHEMA {name}; CREATE TABLE {name}.orders (op_id text); CREATE TABLE {name}.outbox (x int)"
        )
        await client.jetstream(timeout=10).add_stream(
            StreamConfig(name=name, subjects=[f"{name}.>"], retention=retention)
        )
        access = Access(
            postgres_dsn=f"{postgres.admin_dsn.reveal()}?sslmode=disable",
            postgres_role="chaos",
            nats_url=server.url.reveal(),
        )
        yield Stores(name, database, client, access)
    finally:
        await database.execute(f"DROP SCHEMA {name} CASCADE")
        await database.close()
        await client.jetstream(timeout=10).delete_stream(name)
        await client.close()
