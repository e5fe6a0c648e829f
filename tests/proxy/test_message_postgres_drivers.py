"""Message faults under what drivers do with Postgres: many at once, names, pipelines, rows, COPY, pools."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg import generators

from chaos.system import PostgresServer
from tests.proxy.postgres_rig import GONE, WAIT_S, Link, open_link


@pytest.fixture
async def link(postgres_server: PostgresServer) -> AsyncIterator[Link]:
    """A framed link, and a table of this test's own."""
    async with asyncio.timeout(2 * WAIT_S), open_link(postgres_server) as opened:
        yield opened


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


ROWS = "SELECT g, repeat('x', 200) AS b FROM generate_series(1, 500) AS g"


async def test_drop_in_the_midst_of_rows(link: Link) -> None:
    """The third row and what is behind it never come; the end of the fault resets the connection."""
    async with link.connected() as connection:
        toxic = link.fault("drop", "during:3", match="SELECT g, *")
        waiting = asyncio.create_task(connection.fetch(ROWS))
        while not toxic.hits:
            await asyncio.sleep(0.001)
        assert not waiting.done()
        link.heal(toxic)
        with pytest.raises(GONE):
            await waiting


async def test_hold_in_the_midst_of_rows(link: Link) -> None:
    """The third row and what is behind it come late, and all of it."""
    async with link.connected() as connection:
        toxic = link.fault("hold", "during:3", match="SELECT g, *", attributes={"hold": 3_600_000})
        waiting = asyncio.create_task(connection.fetch(ROWS))
        while not toxic.hits:
            await asyncio.sleep(0.001)
        link.heal(toxic)
        assert [row["g"] for row in await waiting] == list(range(1, 501))


@pytest.mark.parametrize("inside", [False, True])
async def test_error_in_the_midst_of_rows(link: Link, inside: bool) -> None:
    """An error instead of the third row; a transaction is aborted on both sides, and the connection goes on."""
    async with link.connected() as connection:
        link.fault("error", "during:3", match="SELECT g, *", answer="57014", count={"first": 1})
        if inside:
            await connection.execute("BEGIN")
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.fetch(ROWS)
        await link.until_backends("idle in transaction (aborted)" if inside else "idle")
        if inside:
            await connection.execute("ROLLBACK")
        assert len(await connection.fetch(ROWS)) == 500


@pytest.mark.parametrize("rows", [1, 40])
async def test_rows_longer_than_a_chunk(link: Link, rows: int) -> None:
    """Items are counted by rows, not by chunks; a row of megabytes goes on in parts before its fault."""
    sql = f"SELECT g, repeat('x', 3000000) AS b FROM generate_series(1, {rows}) AS g"
    async with link.connected() as connection:
        toxic = link.fault("cut", f"during:{rows + 1}", match="SELECT g, *")
        assert len(await connection.fetch(sql)) == rows
        assert toxic.hits == 0
        link.heal(toxic)
        toxic = link.fault("malform", f"during:{rows}", match="SELECT g, *")
        with pytest.raises(asyncpg.ProtocolError):
            await connection.fetch(sql)
        link.heal(toxic)
        assert len(await connection.fetch(sql)) == rows


@pytest.mark.parametrize("type_", ["cut", "truncate", "malform", "error", "drop"])
async def test_copy_is_untouched_next_to_a_fault_on_others(link: Link, type_: str) -> None:
    """Both ways, while the fault strikes a neighbour."""
    source = b"".join(b"%d\t%s\n" % (n, b"y" * 500) for n in range(20_000))
    answer = {"answer": "40001"} if type_ == "error" else {}
    toxic = link.fault(type_, "before", match=f"UPDATE {link.table} *", **answer)

    async def struck() -> None:
        async with link.connected() as connection:
            try:
                await connection.execute(f"UPDATE {link.table} SET b = 'z'", timeout=0.5)
            except (asyncpg.PostgresError, TimeoutError, *GONE):
                return
            pytest.fail("it was not struck")

    async with link.connected() as connection:
        strike = asyncio.create_task(struck())
        assert await connection.copy_to_table(link.table, source=io.BytesIO(source)) == "COPY 20000"
        sink = io.BytesIO()
        await connection.copy_from_query(f"SELECT * FROM {link.table} ORDER BY a", output=sink)
        await strike
    assert sink.getvalue() == source
    assert toxic.hits >= 1


@pytest.mark.parametrize(("phase", "there"), [("before", 0), ("after", 3)])
async def test_copy_refused(link: Link, phase: str, there: int) -> None:
    """Refused before its data is asked for, or when all of it is in."""
    async with link.connected() as connection:
        link.fault("error", phase, match="COPY", answer="53100", count={"first": 1})
        with pytest.raises(asyncpg.DiskFullError):
            await connection.copy_to_table(link.table, source=io.BytesIO(b"1\tx\n2\tx\n3\tx\n"))
        assert len(await link.rows()) == there
        assert await connection.fetchval("SELECT 7") == 7


@pytest.mark.parametrize("type_", ["hold", "cut", "drop"])
async def test_copy_behind_rows_in_one_query(link: Link, type_: str) -> None:
    """Its data is asked for in the midst of the answer: what was withheld goes before that, and the fault does not act."""
    async with link.psycopg(autocommit=True) as connection:
        attributes = {"hold": 3_600_000} if type_ == "hold" else {}
        toxic = link.fault(type_, "after", match="SELECT *", attributes=attributes)
        low = connection.pgconn
        low.send_query(f"SELECT 7; COPY {link.table} FROM STDIN".encode())
        rows, begun = await connection.wait(generators.execute(low))
        assert rows.get_value(0, 0) == b"7"
        assert begun.status == psycopg.pq.ExecStatus.COPY_IN
        await connection.wait(generators.copy_to(low, b"1\tx\n"))
        await connection.wait(generators.copy_end(low, None))
        assert toxic.hits == 0
        assert await link.rows() == [1]


async def test_copy_out_cut_in_the_midst(link: Link) -> None:
    """The rows before it came, no other did."""
    async with link.connected() as connection:
        link.fault("cut", "during:4", match="COPY")
        sink = io.BytesIO()
        with pytest.raises(GONE):
            await connection.copy_from_query("SELECT g FROM generate_series(1, 100000) AS g", output=sink)
    assert sink.getvalue() in {b"", b"1\n2\n3\n"}  # asyncpg may drop what it had when it heard of the end


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
                    await insert_in_transaction(connection, link.table, key)
                except asyncpg.SerializationError:
                    refused.append(key)

        await asyncio.gather(*[one(key) for key in range(60)])
    assert len(refused) == toxic.hits == 20
    assert await link.rows() == sorted(set(range(60)) - set(refused))


async def insert_in_transaction(connection: Any, table: str, key: int) -> None:
    """One row."""
    async with connection.transaction():
        await connection.execute(f"INSERT INTO {table} VALUES ($1)", key)


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
