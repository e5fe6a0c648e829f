"""A framed link to a real Postgres, faults on it, and drivers through it; what is in the tables is read past it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import HOUSEKEEPING, WireRecord
from chaos.proxy import Options, Proxy, ProxySettings, Registry, ToxicSpec, open_registry
from chaos.system import PostgresServer
from chaos.system.ports import Address
from tests.proxy.wire_records import take_records

__all__ = ["GONE", "WAIT_S", "Link", "insert", "open_link", "postgres_link"]

WAIT_S = 20.0
"""A guard against hanging; nothing takes nearly as long."""
GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)
"""What asyncpg raises when its connection is gone."""


@dataclass
class Link:
    """`table` is this test's own, with the columns a (its key) and b."""

    registry: Registry
    proxy: Proxy
    dsn: str
    direct: Any
    table: str

    def fault(self, type_: str, phase: str, **members: Any) -> Any:
        """A message fault on the link."""
        spec = ToxicSpec(type=type_, phase=phase, fault=members.pop("fault", type_), name=f"t{uuid4().hex}", **members)
        return self.proxy.add_toxic(spec)

    def heal(self, toxic: Any) -> None:
        """The fault is over."""
        self.proxy.remove_toxic(toxic.name)

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[Any]:
        """A connection of asyncpg's; statements are prepared anew each time unless a cache is asked for."""
        connection = await asyncpg.connect(self.dsn, timeout=WAIT_S, **options)
        try:
            yield connection
        finally:
            try:
                await connection.close(timeout=1)
            except (TimeoutError, *GONE):
                connection.terminate()

    @asynccontextmanager
    async def psycopg(self, **options: Any) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection of psycopg's."""
        connection = await psycopg.AsyncConnection.connect(self.dsn, **options)
        try:
            yield connection
        finally:
            with suppress(psycopg.Error):
                await connection.close()

    async def rows(self) -> list[int]:
        """The keys in the table, read past the link."""
        return [row["a"] for row in await self.direct.fetch(f"SELECT a FROM {self.table} ORDER BY a")]

    async def until_backends(self, *states: str) -> None:
        """Wait until the backends that serve the link's connections are in these states; the fixture's deadline bounds it."""
        while await self._backends() != sorted(states):
            await asyncio.sleep(0.001)

    async def _backends(self) -> list[str]:
        rows = await self.direct.fetch("SELECT state FROM pg_stat_activity WHERE application_name = $1", self.table)
        return sorted(row["state"] for row in rows)

    def records(self) -> list[WireRecord]:
        """What the wire log has told since this was asked last."""
        return take_records(self.registry.server)

    def told(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """What has acted and been answered since: kind, signature, status, faults; without start-ups and housekeeping."""
        return [
            (row.kind, row.signature, row.status, row.faults)
            for row in self.records()
            if row.kind in {"acted", "reply"}
            and row.signature != "startup"
            and not row.signature.startswith(HOUSEKEEPING)
        ]


@asynccontextmanager
async def open_link(server: PostgresServer) -> AsyncIterator[Link]:
    """A link, and a table that is dropped behind it."""
    table = f"t{uuid4().hex}"
    direct = await asyncpg.connect(server.dsn.reveal(), timeout=WAIT_S)
    try:
        await direct.execute(f"CREATE TABLE {table} (a int PRIMARY KEY, b text)")
        async with open_registry(Options()) as registry:
            upstream = str(server.address)
            settings = ProxySettings(name="a>b", listen="127.0.0.1:0", upstream=upstream, protocol=Protocol.POSTGRES)
            proxy = await registry.create(settings)
            host, _, port = proxy.listen.rpartition(":")
            dsn = server.dsn_through(Address(host, int(port))).reveal() + f"?application_name={table}"
            yield Link(registry, proxy, dsn, direct, table)
        await direct.execute(f"DROP TABLE {table}")
    finally:
        await direct.close(timeout=WAIT_S)


@pytest.fixture
async def postgres_link(postgres_server: PostgresServer) -> AsyncIterator[Link]:
    """A framed link, and a table of this test's own."""
    async with asyncio.timeout(2 * WAIT_S), open_link(postgres_server) as opened:
        yield opened


async def insert(connection: Any, link: Link, key: int) -> None:
    """One row in a transaction."""
    async with connection.transaction():
        await connection.execute(f"INSERT INTO {link.table} VALUES ($1, 'x')", key)
