"""asyncpg through a framed proxy: its bytes pass as they are, and the wire log tells of its operations and nothing else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import HOUSEKEEPING, WireRecord
from chaos.proxy import ToxicSpec
from chaos.system import PostgresServer


@pytest.fixture
async def teed(teed_of: Any, postgres_server: PostgresServer) -> Any:
    """A Postgres link."""
    return await teed_of(Protocol.POSTGRES, postgres_server.address)


@asynccontextmanager
async def connected(teed: Any, server: PostgresServer, **options: Any) -> AsyncIterator[Any]:
    """A connection of asyncpg's through the link."""
    connection = await asyncpg.connect(server.dsn_through(teed.address).reveal(), timeout=10, **options)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


def operations(records: list[WireRecord]) -> list[tuple[str, str]]:
    """Signature and status of each operation, in the order of the replies."""
    return [
        (row.signature, row.status)
        for row in records
        if row.kind == "reply" and not row.signature.startswith(HOUSEKEEPING)
    ]


async def test_queries_of_every_kind(teed: Any, postgres_server: PostgresServer) -> None:
    """Simple, prepared, many at once, in transactions, by cursor and failing: one operation each, byte for byte."""
    async with connected(teed, postgres_server) as connection:
        await connection.execute("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)")
        for index in range(2):
            assert await connection.fetchval("SELECT $1::int + 1", index) == index + 1
        await connection.executemany("INSERT INTO t VALUES ($1, $2)", [(n, "x" * 5000) for n in range(100)])
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO t VALUES (1, 'it''s secret')")
        async with connection.transaction():
            async for _ in connection.cursor("SELECT a FROM t WHERE b <> 'y'", prefetch=40):
                pass
        await connection.fetch("SELECT '{1,2}'::int[], 'x'::text")
    records = await teed.records()
    teed.assert_untouched()
    assert operations(records) == [
        ("startup", "ok"),
        ("CREATE TEMP TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE"),
        ("SELECT ?::int + ?", "suspended"),  # asyncpg asks for one row only
        ("SELECT ?::int + ?", "suspended"),
        ("INSERT INTO t VALUES (?)", "INSERT 0 1"),
        ("INSERT INTO t VALUES (?)", "23505"),
        ("BEGIN", "BEGIN"),
        *[("SELECT a FROM t WHERE b <> ?", "suspended")] * 2,
        ("SELECT a FROM t WHERE b <> ?", "SELECT 20"),
        ("COMMIT", "COMMIT"),
        ("SELECT ?::int[], ?::text", "SELECT 1"),
    ]
    assert not [row for row in records if row.kind == "raw"]
    assert "secret" not in repr(records)


async def test_copy_both_ways(teed: Any, postgres_server: PostgresServer) -> None:
    """Bulk COPY is one operation each way, framed within bounded memory."""
    source = b"".join(b"%d\t%s\n" % (n, b"y" * 500) for n in range(8_000))
    async with connected(teed, postgres_server) as connection:
        await connection.execute("CREATE TEMP TABLE t (a int, b text)")
        await connection.copy_to_table("t", source=io.BytesIO(source))
        sink = io.BytesIO()
        await connection.copy_from_table("t", output=sink)
    assert sink.getvalue() == source
    records = await teed.records()
    teed.assert_untouched()
    assert operations(records)[2:] == [("COPY", "COPY 8000")] * 2
    assert next(row for row in reversed(records) if row.signature == "COPY").nbytes > len(source)


async def test_a_pools_reset_and_type_lookups_are_no_operations(teed: Any, postgres_server: PostgresServer) -> None:
    """What asyncpg sends of its own accord is marked as housekeeping."""
    dsn = postgres_server.dsn_through(teed.address).reveal()
    async with asyncio.timeout(20), asyncpg.create_pool(dsn, min_size=1, max_size=1, timeout=10) as pool:
        for _ in range(2):
            async with pool.acquire() as connection:
                await connection.fetchval("SELECT NULL::point, ROW(1, 'a')")
                await connection.fetch("SELECT '[1,2]'::vector")
    records = await teed.records()
    teed.assert_untouched()
    kept = {signature for signature, _ in operations(records)}
    assert kept == {"startup", "SELECT NULL::point, ROW(?)", "SELECT ?::vector"}
    assert {row.signature for row in records} >= {"~ssl", "~reset", "~types"}


async def test_a_cancel_comes_on_a_connection_of_its_own(teed: Any, postgres_server: PostgresServer) -> None:
    """The cancelled statement fails with its SQLSTATE, and notifications reach the one who listens."""
    async with connected(teed, postgres_server) as connection:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await connection.add_listener("framing_news", lambda *told: heard.put_nowait(told[-1]))
        await connection.execute("NOTIFY framing_news, 'it is here'")
        assert await asyncio.wait_for(heard.get(), 10) == "it is here"
        await connection.remove_listener("framing_news", lambda *_: None)
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.2)
        await connection.fetchval("SELECT 5")
    records = await teed.records()
    teed.assert_untouched()
    assert ("SELECT pg_sleep(?)", "57014") in operations(records)
    cancel = next(row for row in records if row.signature == "cancel")
    assert cancel.connection == 2
    assert [row.direction for row in records if row.signature == "NOTIFY framing_news" and row.kind == "request"] == [
        "<"
    ]


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_fault_is_named_by_the_statements_it_delayed(
    teed: Any, postgres_server: PostgresServer, stream: str
) -> None:
    """Only the statement under the fault carries it, whichever direction was slow; the touch is noted beside it."""
    async with connected(teed, postgres_server, statement_cache_size=0) as connection:
        await connection.execute("SELECT a FROM (VALUES (1)) AS before(a)")
        toxic = teed.proxy.add_toxic(ToxicSpec(type="latency", stream=stream, fault="slow", attributes={"latency": 5}))
        await connection.execute("SELECT a FROM (VALUES (1)) AS during(a)")
        teed.proxy.remove_toxic(toxic.name)
        await connection.execute("SELECT a FROM (VALUES (1)) AS after(a)")
    records = await teed.records()
    faults = {row.signature.rsplit(" ", 1)[-1]: row.faults for row in records if row.kind == "reply"}
    assert (faults["before(a)"], faults["during(a)"], faults["after(a)"]) == ((), ("slow",), ())
    assert [row.faults for row in records if row.kind == "touch"] == [("slow",)]


async def test_a_cut_aborts_the_statement_under_way(teed: Any, postgres_server: PostgresServer) -> None:
    """A reply that never left is told as aborted, with the fault that withheld it."""
    async with connected(teed, postgres_server) as connection:
        await connection.execute("SELECT a FROM (VALUES (1)) AS before(a)")
        teed.proxy.add_toxic(ToxicSpec(type="limit_data", stream="downstream", fault="cut", attributes={"bytes": 1}))
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await connection.execute("UPDATE nothing SET a = 1", timeout=20)
    records = await teed.records()
    last = [row for row in records if row.kind == "reply"][-1]
    assert (last.signature, last.status, last.faults) == ("UPDATE nothing SET a = ?", "aborted", ("cut",))
