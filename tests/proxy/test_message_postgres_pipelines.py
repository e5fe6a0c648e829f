"""Message faults on Postgres where many statements are under way at once: executemany, names, pipelines."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import generators

from tests.proxy.postgres_rig import GONE, Link, postgres_link

link = postgres_link


@pytest.mark.parametrize(("phase", "there"), [("before", []), ("after", list(range(5_000)))])
async def test_executemany_is_one_message(link: Link, phase: str, there: list[int]) -> None:
    """Many Executes under one Sync are refused as one: none of them done before, all of them done after."""
    async with link.connected() as connection:
        toxic = link.fault("error", phase, match="INSERT", answer="40001", count={"first": 1})
        with pytest.raises(asyncpg.SerializationError):
            await connection.executemany(
                f"INSERT INTO {link.table} VALUES ($1, $2)", [(n, "x" * 50) for n in range(5_000)]
            )
        assert toxic.hits == 1
        assert await link.rows() == there
        assert await connection.fetchval("SELECT 7") == 7
    answers = [row[2:] for row in link.told() if row[:2] == ("reply", f"INSERT INTO {link.table} VALUES (?)")]
    assert answers == [("40001", ("error",))]


async def test_executemany_longer_than_what_is_kept_back(link: Link) -> None:
    """A group beyond the bound goes on as it comes, and is still one message."""
    async with link.connected() as connection:
        toxic = link.fault("error", "before", match="INSERT", answer="40001", count={"first": 1})
        rows = [(n, "x" * 20_000) for n in range(300)]
        with pytest.raises(asyncpg.SerializationError):
            await connection.executemany(f"INSERT INTO {link.table} VALUES ($1, $2)", rows)
        assert toxic.hits == 1
        assert await link.rows() == []
        await connection.executemany(f"INSERT INTO {link.table} VALUES ($1, $2)", rows)
        assert len(await link.rows()) == 300


async def test_a_statement_prepared_before_the_fault_is_known_by_its_name(link: Link) -> None:
    """Bound by name, on this connection and, after it was cut, on the next one: the same statement."""
    async with link.connected() as connection:
        statement = await connection.prepare(f"INSERT INTO {link.table} VALUES ($1) RETURNING a")
        assert await statement.fetchval(1) == 1
        toxic = link.fault("cut", "after", match=f"INSERT INTO {link.table} *", count={"nth": 2})
        assert await statement.fetchval(2) == 2
        with pytest.raises(GONE):
            await statement.fetchval(3)
    async with link.connected() as connection:
        statement = await connection.prepare(f"INSERT INTO {link.table} VALUES ($1) RETURNING a")
        assert await statement.fetchval(4) == 4
    assert toxic.hits == 1
    assert await link.rows() == [1, 2, 3, 4]


@pytest.mark.parametrize(("phase", "there"), [("before", [1]), ("after", [1])])
async def test_a_pipeline_whose_second_part_is_refused(link: Link, phase: str, there: list[int]) -> None:
    """What stands under one Sync fails alone: the transaction is aborted on both sides, as with an error of the server's own."""
    async with link.psycopg(autocommit=True) as connection:
        link.fault("error", phase, match=f"UPDATE {link.table} *", answer="40001", count={"first": 1})
        async with connection.pipeline() as pipeline:
            await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
            await pipeline.sync()
            await connection.execute(f"UPDATE {link.table} SET b = 'y' WHERE a = %s", (1,))
            with pytest.raises(psycopg.errors.SerializationFailure):
                await pipeline.sync()
        assert await (await connection.execute("SELECT 7")).fetchone() == (7,)
    assert await link.rows() == there
    assert await link.direct.fetchval(f"SELECT b FROM {link.table}") == (None if phase == "before" else "y")


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_pipeline_that_fetches_before_its_sync(link: Link, phase: str) -> None:
    """A portion that ends with Flush is refused at once; the rest up to the Sync is skipped by the server itself."""
    async with link.psycopg(autocommit=True) as connection:
        toxic = link.fault("error", phase, match="SELECT ?::int", answer="40001", count={"first": 1})
        await connection.execute("SELECT 5")

        async def fetched(value: int) -> Any:
            async with connection.pipeline():
                cursor = await connection.execute("SELECT %s::int", (value,))
                return await cursor.fetchone()

        with pytest.raises(psycopg.errors.SerializationFailure):
            await fetched(7)
        assert toxic.hits == 1
        assert await fetched(8) == (8,)
        async with connection.pipeline():
            await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
    assert await link.rows() == [1]


SYNCED = psycopg.pq.ExecStatus.PIPELINE_SYNC
SQLSTATE = psycopg.pq.DiagnosticField.SQLSTATE


async def in_flight(connection: Any, *statements: str) -> list[str]:
    """Each under a Sync of its own, all sent before the first is answered; the command tag or SQLSTATE of each."""
    low = connection.pgconn
    low.enter_pipeline_mode()
    commands: deque[Any] = deque()
    for statement in statements:
        commands += [partial(low.send_query_params, statement.encode(), None), low.pipeline_sync]
    told = await connection.wait(generators.pipeline_communicate(low, commands))
    while sum(results[0].status == SYNCED for results in told) < len(statements):
        told.append(await connection.wait(generators.fetch_many(low)))
    low.exit_pipeline_mode()
    found = [result for results in told for result in results if result.status != SYNCED]
    return [
        (result.command_status or b"").decode() or (result.error_field(SQLSTATE) or b"").decode() for result in found
    ]


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_questions_in_flight_are_answered_in_order(link: Link, phase: str) -> None:
    """The error comes at its statement's place, whatever was asked before and behind it."""
    async with link.psycopg(autocommit=True) as connection:
        toxic = link.fault("error", phase, match="DELETE", answer="40001", count={"nth": 2})
        one, two, three = (f"INSERT INTO {link.table} VALUES ({key})" for key in (1, 2, 3))
        gone = f"DELETE FROM {link.table} WHERE a = 1"
        told = await in_flight(connection, gone, one, two, gone, three, "SELECT 7")
        assert told == ["DELETE 0", "INSERT 0 1", "INSERT 0 1", "40001", "INSERT 0 1", "SELECT 1"]
        assert toxic.hits == 1
        assert await (await connection.execute("SELECT 8")).fetchone() == (8,)
    assert await link.rows() == ([1, 2, 3] if phase == "before" else [2, 3])


async def test_a_refusal_in_flight_inside_a_transaction(link: Link) -> None:
    """Refused before it was passed on, it fails the server's transaction, too: COMMIT behind it rolls back, as it would."""
    async with link.psycopg(autocommit=True) as connection:
        link.fault("error", "before", match="DELETE", answer="40001")
        insert, gone = f"INSERT INTO {link.table} VALUES (1)", f"DELETE FROM {link.table}"
        told = await in_flight(connection, "BEGIN", insert, gone, "SELECT 7", "COMMIT", "SELECT 8")
        assert told == ["BEGIN", "INSERT 0 1", "40001", "25P02", "ROLLBACK", "SELECT 1"]
    assert await link.rows() == []


async def test_a_commit_refused_in_flight(link: Link) -> None:
    """ROLLBACK goes in COMMIT's place, and is hidden; what is behind it is outside a transaction on both sides."""
    async with link.psycopg(autocommit=True) as connection:
        link.fault("error", "before", match="COMMIT", answer="40001")
        one, two = (f"INSERT INTO {link.table} VALUES ({key})" for key in (1, 2))
        told = await in_flight(connection, "BEGIN", one, "COMMIT", two, "SELECT 8")
        assert told == ["BEGIN", "INSERT 0 1", "40001", "INSERT 0 1", "SELECT 1"]
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert await link.rows() == [2]
    ends = [row for row in link.told() if row[1] in {"COMMIT", "ROLLBACK"}]
    assert ends == [("acted", "COMMIT", "before error", ("error",)), ("reply", "COMMIT", "40001", ("error",))]
