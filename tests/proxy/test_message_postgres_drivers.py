"""Message faults under what drivers do with Postgres by themselves: commits, start-ups, connections of a pool."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest

from tests.proxy.postgres_rig import WAIT_S, Link, insert, postgres_link

link = postgres_link


async def test_psycopg_is_told_of_a_serialization_failure_at_commit(link: Link) -> None:
    """As asyncpg: nothing is committed, and the connection goes on."""
    async with link.psycopg() as connection:
        link.fault("error", "before", match="COMMIT", answer="40001", count={"first": 1})
        await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
        with pytest.raises(psycopg.errors.SerializationFailure, match="injected by chaos-drill"):
            await connection.commit()
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        await connection.execute(f"INSERT INTO {link.table} VALUES (2)")
        await connection.commit()
    assert await link.rows() == [2]


async def test_psycopg_loses_the_answer_to_its_commit(link: Link) -> None:
    """The row is there, and the connection is gone."""
    async with link.psycopg() as connection:
        link.fault("cut", "after", match="COMMIT")
        await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
        with pytest.raises(psycopg.OperationalError):
            await connection.commit()
        assert connection.closed
    assert await link.rows() == [1]


async def test_psycopg_is_refused_at_its_start_up(link: Link) -> None:
    """53300, as if the server were full."""
    link.fault("error", "connect", answer="53300")
    with pytest.raises(psycopg.OperationalError, match="injected by chaos-drill"):
        await psycopg.AsyncConnection.connect(link.dsn)


async def test_a_count_of_each_connection(link: Link) -> None:
    """`per: connection` strikes the second statement of each, and no other."""
    toxic = link.fault("error", "before", match="SELECT ?::int", answer="40001", count={"nth": 2}, per="connection")
    for _ in range(3):
        async with link.connected() as connection:
            told = []
            for _ in range(4):
                try:
                    told.append(await connection.fetchval("SELECT 7::int"))
                except asyncpg.SerializationError:
                    told.append("refused")
            assert told == [7, "refused", 7, 7]
    assert toxic.hits == 3


async def test_a_pool_works_on_under_faults(link: Link) -> None:
    """What a pool sends of its own accord is not counted; every third INSERT is refused, each other one is done once."""
    toxic = link.fault("error", "before", match="INSERT", answer="40001", count={"every": 3})
    refused = []
    async with asyncpg.create_pool(link.dsn, min_size=2, max_size=4, timeout=WAIT_S) as pool:

        async def one(key: int) -> None:
            async with pool.acquire(timeout=WAIT_S) as connection:
                try:
                    await insert(connection, link, key)
                except asyncpg.SerializationError:
                    refused.append(key)

        await asyncio.gather(*[one(key) for key in range(60)])
    assert len(refused) == toxic.hits == 20
    assert await link.rows() == sorted(set(range(60)) - set(refused))
