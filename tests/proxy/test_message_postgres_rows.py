"""Message faults on Postgres in the midst of rows, and on COPY."""

from __future__ import annotations

import asyncio
import io

import asyncpg
import psycopg
import pytest
from psycopg import generators

from tests.proxy.postgres_rig import GONE, Link, postgres_link

link = postgres_link

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
