"""What drivers make of messages on Postgres that are garbled or cut short."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest

from tests.proxy.postgres_rig import GONE, WAIT_S, Link, postgres_link

link = postgres_link


@pytest.mark.parametrize(
    ("phase", "statement", "error"),
    [
        ("before", "INSERT INTO {} VALUES (1)", asyncpg.ProtocolViolationError),  # the server cannot read it
        ("after", "INSERT INTO {} VALUES (1)", UnicodeDecodeError),
        ("after", "DELETE FROM {}", UnicodeDecodeError),
        ("before", "SELECT g, 'b' FROM generate_series(1, 3) AS g", asyncpg.ProtocolViolationError),
        ("after", "SELECT g, 'b' FROM generate_series(1, 3) AS g", UnicodeDecodeError),
    ],
)
async def test_asyncpg_reads_what_is_garbled(link: Link, phase: str, statement: str, error: type[Exception]) -> None:
    """It raises, does not hang, and goes on; whether the work was done is decided by the phase."""
    async with link.connected() as connection:
        toxic = link.fault("malform", phase, match=statement.split(" ", 1)[0], count={"first": 1})
        with pytest.raises(error):
            await connection.execute(statement.format(link.table))
        assert toxic.hits == 1
        assert await connection.fetchval("SELECT 7") == 7
    assert await link.rows() == ([1] if (phase, statement[0]) == ("after", "I") else [])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize(
    ("phase", "statement", "error"),
    [
        ("before", "INSERT INTO {} VALUES (%s)", psycopg.errors.ProtocolViolation),
        ("after", "INSERT INTO {} VALUES (%s)", psycopg.DatabaseError),
        ("after", "SELECT g, %s FROM generate_series(1, 3) AS g", psycopg.DatabaseError),
        ("during:2", "SELECT g, %s FROM generate_series(1, 3) AS g", psycopg.DatabaseError),
    ],
)
async def test_psycopg_reads_what_is_garbled(
    link: Link, phase: str, statement: str, error: type[Exception], binary: bool, prepare: bool
) -> None:
    """It finds that message and length do not agree, and goes on."""
    async with link.psycopg(autocommit=True) as connection:
        toxic = link.fault("malform", phase, match=statement.split(" ", 1)[0], count={"first": 1})
        with pytest.raises(error):
            await connection.execute(statement.format(link.table), (1,), binary=binary, prepare=prepare)
        assert toxic.hits == 1
        assert await (await connection.execute("SELECT 7")).fetchone() == (7,)
    assert await link.rows() == ([1] if (phase, statement[0]) == ("after", "I") else [])


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_garbled_start_up(link: Link, phase: str) -> None:
    """Neither the server nor the drivers can read it."""
    link.fault("malform", phase, match="startup")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await asyncpg.connect(link.dsn, timeout=WAIT_S)
    with pytest.raises(psycopg.OperationalError):
        await psycopg.AsyncConnection.connect(link.dsn)


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_truncate_ends_the_connection(link: Link, phase: str) -> None:
    """Half of a statement is not executed; half of an answer is not enough for anybody."""
    async with link.connected() as connection:
        link.fault("truncate", phase, match="INSERT")
        with pytest.raises(GONE):
            await connection.execute(f"INSERT INTO {link.table} VALUES (1)")
    await link.until_backends()
    assert await link.rows() == ([] if phase == "before" else [1])
