"""Message faults on a real Postgres, as asyncpg sees them: what is in the tables tells which work was done."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.proxy.postgres_rig import GONE, WAIT_S, Link, insert, postgres_link

link = postgres_link


async def test_commit_cut_after(link: Link) -> None:
    """The reply to COMMIT is lost with the connection: the row is there, and the client cannot know."""
    async with link.connected() as connection, link.connected() as neighbour:
        toxic = link.fault("cut", "after", match="COMMIT", count={"nth": 1})
        with pytest.raises(GONE):
            await insert(connection, link, 1)
        assert connection.is_closed()
        assert await link.rows() == [1]
        await insert(neighbour, link, 2)
    assert toxic.hits == 1
    assert await link.rows() == [1, 2]
    assert [(row[0], *row[2:]) for row in link.told() if row[1] == "COMMIT"] == [
        ("acted", "after cut", ("cut",)),
        ("reply", "aborted", ("cut",)),
        ("reply", "COMMIT", ()),
    ]


@pytest.mark.parametrize("fin", [0, 1])
async def test_commit_cut_before(link: Link, fin: int) -> None:
    """COMMIT never arrives: the row is not there, and the server's transaction ends with the connection."""
    async with link.connected() as connection:
        link.fault("cut", "before", match="COMMIT", attributes={"fin": fin})
        with pytest.raises(GONE):
            await insert(connection, link, 1)
    await link.until_backends()
    assert await link.rows() == []


async def test_commit_refused_before(link: Link) -> None:
    """40001 in place of COMMIT: nothing is committed, both sides agree that no transaction is open, and the connection goes on."""
    async with link.connected() as connection:
        link.fault("error", "before", match="COMMIT", answer="40001", count={"first": 1})
        with pytest.raises(asyncpg.SerializationError, match=r"fault error \(injected by chaos-drill\)"):
            await insert(connection, link, 1)
        assert not connection.is_in_transaction()
        assert await link.rows() == []
        await link.until_backends("idle")
        await insert(connection, link, 2)
        assert await connection.fetchval("SELECT 7") == 7
    assert await link.rows() == [2]
    told = link.told()
    assert [(row[0], row[2]) for row in told[:2]] == [("reply", "BEGIN"), ("reply", "INSERT 0 1")]
    assert told[2:4] == [
        ("acted", "COMMIT", "before error", ("error",)),
        ("reply", "COMMIT", "40001", ("error",)),
    ]


async def test_commit_refused_after(link: Link) -> None:
    """An error in place of COMMIT's answer: the work was done, whatever the client was told."""
    async with link.connected() as connection:
        link.fault("error", "after", match="COMMIT", answer="08007", count={"first": 1})
        with pytest.raises(asyncpg.TransactionResolutionUnknownError):
            await insert(connection, link, 1)
        assert not connection.is_in_transaction()
        await insert(connection, link, 2)
    assert await link.rows() == [1, 2]


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_statement_refused_in_a_transaction_aborts_it(link: Link, phase: str) -> None:
    """Client and server agree that the transaction has failed: what follows is refused by the server itself, until the rollback."""
    async with link.connected() as connection:
        link.fault("error", phase, match=f"INSERT INTO {link.table} *", answer="40P01", count={"nth": 2})
        await insert(connection, link, 1)
        await connection.execute("BEGIN")
        with pytest.raises(asyncpg.DeadlockDetectedError):
            await connection.execute(f"INSERT INTO {link.table} VALUES (2)")
        assert connection.is_in_transaction()
        await link.until_backends("idle in transaction (aborted)")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await connection.execute("SELECT 1")
        await connection.execute("ROLLBACK")
        assert not connection.is_in_transaction()
        await insert(connection, link, 3)
    assert await link.rows() == [1, 3]


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_savepoint_survives_a_refused_statement(link: Link, phase: str) -> None:
    """What the client rolls back to is what the server has."""
    async with link.connected() as connection:
        link.fault("error", phase, match=f"INSERT INTO {link.table} *", answer="23514", count={"nth": 2})
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
            with pytest.raises(asyncpg.CheckViolationError):
                async with connection.transaction():
                    await connection.execute(f"INSERT INTO {link.table} VALUES (2)")
            await connection.execute(f"INSERT INTO {link.table} VALUES (3)")
    assert await link.rows() == [1, 3]


@pytest.mark.parametrize(("phase", "there"), [("before", []), ("after", [1])])
async def test_a_single_statement_refused(link: Link, phase: str, there: list[int]) -> None:
    """Without a transaction: done or not done by the phase, and the connection goes on."""
    async with link.connected() as connection:
        link.fault("error", phase, match=f"INSERT INTO {link.table} *", answer="53400")
        with pytest.raises(asyncpg.ConfigurationLimitExceededError):
            await connection.execute(f"INSERT INTO {link.table} VALUES ($1)", 1)
        assert await connection.fetchval("SELECT 7") == 7
    assert await link.rows() == there


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_begin_refused(link: Link, phase: str) -> None:
    """No transaction is left open behind an error in answer to BEGIN."""
    async with link.connected() as connection:
        link.fault("error", phase, match="BEGIN", answer="40001", count={"first": 1})
        with pytest.raises(asyncpg.SerializationError):
            await connection.execute("BEGIN")
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT 7") == 7
        await link.until_backends("idle")
        await insert(connection, link, 1)
    assert await link.rows() == [1]


async def test_a_server_that_goes_away(link: Link) -> None:
    """An error of class 57P is fatal: told, and the connection is closed."""
    async with link.connected() as connection:
        link.fault("error", "before", match="SELECT ?::int", answer="57P01")
        with pytest.raises(asyncpg.ConnectionDoesNotExistError) as gone:
            await connection.fetchval("SELECT 7::int")
        assert isinstance(gone.value.__cause__, asyncpg.AdminShutdownError)
        with pytest.raises(GONE):
            await connection.fetchval("SELECT 8")


@pytest.mark.parametrize(("phase", "match"), [("connect", None), ("before", "startup"), ("after", "startup")])
async def test_start_up_refused(link: Link, phase: str, match: str | None) -> None:
    """53300 in answer to the start-up, and the connection is closed; connections that are there go on."""
    async with link.connected() as neighbour:
        link.fault("error", phase, match=match, answer="53300", count={"first": 1})
        with pytest.raises(asyncpg.TooManyConnectionsError, match="injected by chaos-drill"):
            await asyncpg.connect(link.dsn, timeout=WAIT_S)
        assert await neighbour.fetchval("SELECT 7") == 7
        async with link.connected() as late:
            assert await late.fetchval("SELECT 8") == 8


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_drop_makes_the_connection_deaf_until_the_fault_ends(link: Link, phase: str) -> None:
    """The asker waits in vain, others do not; the end of the fault resets the connection, as it lost data."""
    async with link.connected() as connection, link.connected() as neighbour:
        toxic = link.fault("drop", phase, match=f"INSERT INTO {link.table} *", count={"first": 1})
        waiting = asyncio.create_task(connection.execute(f"INSERT INTO {link.table} VALUES (1)"))
        while not toxic.hits:
            await asyncio.sleep(0.001)
        await neighbour.execute(f"INSERT INTO {link.table} VALUES (2)")
        assert await link.rows() == ([2] if phase == "before" else [1, 2])
        assert not waiting.done()
        link.heal(toxic)
        with pytest.raises(GONE):
            await waiting
        assert await neighbour.fetchval("SELECT 7") == 7
    await link.until_backends()


@pytest.mark.parametrize(("phase", "early"), [("before", []), ("after", [1])])
async def test_hold_ends_with_its_fault(link: Link, phase: str, early: list[int]) -> None:
    """A statement or its answer waits, whole; what is behind it comes behind it."""
    async with link.connected() as connection:
        toxic = link.fault("hold", phase, match=f"INSERT INTO {link.table} *", attributes={"hold": 3_600_000})
        waiting = asyncio.create_task(connection.execute(f"INSERT INTO {link.table} VALUES (1)"))
        while not toxic.hits:
            await asyncio.sleep(0.001)
        assert await link.rows() == early
        assert not waiting.done()
        link.heal(toxic)
        assert await waiting == "INSERT 0 1"
        assert await connection.fetchval("SELECT 7") == 7


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_hold_ends_by_itself(link: Link, phase: str) -> None:
    """The answer comes late, as it is."""
    async with link.connected() as connection:
        toxic = link.fault("hold", phase, match="SELECT ?", attributes={"hold": 50})
        assert await connection.fetchval("SELECT 41 + 1") == 42
        assert await connection.fetch("SELECT 'a' || repeat('b', 100000)") == [("a" + "b" * 100_000,)]
        assert toxic.hits == 0
        link.heal(toxic)
        toxic = link.fault("hold", phase, match="SELECT ? + ?", attributes={"hold": 50})
        assert await connection.fetchval("SELECT 41 + 1") == 42
        assert toxic.hits == 1


ROWS = "SELECT g, repeat('x', 200) AS b FROM generate_series(1, 500) AS g"


@pytest.mark.parametrize(
    ("type_", "error"),
    [("cut", GONE), ("truncate", GONE), ("malform", asyncpg.ProtocolError)],
)
async def test_an_answer_cut_in_the_midst_of_its_rows(link: Link, type_: str, error: Any) -> None:
    """The third row does not come, or only half of it, or cannot be read; the two before it passed."""
    async with link.connected() as connection, link.connected() as neighbour:
        toxic = link.fault(type_, "during:3", match="SELECT g, *", count={"first": 1})
        with pytest.raises(error):
            await connection.fetch(ROWS)
        assert toxic.hits == 1
        assert len(await neighbour.fetch(ROWS)) == 500
        assert connection.is_closed() == (type_ != "malform")
        if type_ == "malform":
            assert len(await connection.fetch(ROWS)) == 500
