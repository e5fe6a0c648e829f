"""Whatever is refused at whatever moment: client and server agree on the transaction, as the very next statement shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import generators

from chaos.system import PostgresServer
from tests.proxy.postgres_rig import WAIT_S, Link, open_link

LONG = "SELECT repeat('x', 300000) FROM generate_series(1, 3)"  # is answered in several chunks
SINGLE = [
    "BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SAVEPOINT a",
    "ROLLBACK TO SAVEPOINT a", "RELEASE SAVEPOINT a", "INSERT INTO {} VALUES (1)", "DELETE FROM {}", "SELECT 1/0", "",
    "SELECT g FROM generate_series(1, 4) AS g", LONG, "SET LOCAL work_mem = '1MB'", "SELECT pg_sleep(0)",
]  # fmt: skip
SEVERAL = [
    f"BEGIN; {LONG}",
    f"{LONG}; COMMIT",
    f"ROLLBACK; {LONG}; BEGIN",
    "BEGIN; INSERT INTO {} VALUES (2)", "INSERT INTO {} VALUES (3); COMMIT", "BEGIN; DELETE FROM {}; COMMIT", "COMMIT; BEGIN",
    "SELECT g FROM generate_series(1, 4) AS g; SELECT 1/0", "BEGIN; SELECT g FROM generate_series(1, 4) AS g", "ROLLBACK; SELECT 1",
]  # fmt: skip
PHASES = ["before", "after", "during:1", "during:3"]
Step = tuple[str, bool, str | None]
"""A statement, whether by Parse and its like, and at which phase it is refused, if at all."""
REFUSED = st.none() | st.sampled_from(PHASES)
STEPS = st.lists(
    st.tuples(st.sampled_from(SINGLE), st.booleans(), REFUSED)
    | st.tuples(st.sampled_from(SEVERAL), st.just(False), REFUSED),
    min_size=1,
    max_size=8,
)


@pytest.fixture
async def link(postgres_server: PostgresServer) -> AsyncIterator[Link]:
    """A framed link, and a table of this test's own."""
    async with open_link(postgres_server) as opened:
        yield opened


async def execute(connection: Any, statement: str, *, extended: bool) -> str:
    """What the last answer was: a command tag or an SQLSTATE."""
    low = connection.pgconn
    if extended:
        low.send_query_params(statement.encode(), None)
    else:
        low.send_query(statement.encode())
    results = await connection.wait(generators.execute(low))
    code = results[-1].error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    return (code or results[-1].command_status or b"").decode()


async def play(link: Link, steps: list[Step], *, stays: bool) -> None:
    """Refuse the statements, and look after each whether both sides agree; `stays`: there is a fault between them, too."""
    async with link.psycopg(autocommit=True) as connection:
        other = link.fault("cut", "after", match="no such statement") if stays else None
        for statement, extended, phase in steps:
            toxic = link.fault("error", phase, answer="40001") if phase else None
            await execute(connection, statement.format(link.table), extended=extended)
            if toxic is not None:
                link.heal(toxic)
            told = connection.info.transaction_status
            answer = await execute(connection, "SELECT 7", extended=extended)
            failed = told == psycopg.pq.TransactionStatus.INERROR
            assert answer == ("25P02" if failed else "SELECT 1"), (statement, told)
            assert connection.info.transaction_status == told, statement
        if other is not None:
            link.heal(other)


ALL = [(statement, False) for statement in SINGLE + SEVERAL] + [(statement, True) for statement in SINGLE]


@pytest.mark.parametrize("before", ["ROLLBACK", "BEGIN", "BEGIN; SELECT 1/0"], ids=["idle", "open", "failed"])
@pytest.mark.parametrize("phase", PHASES)
async def test_every_statement_refused_in_every_state(link: Link, phase: str, before: str) -> None:
    """Outside a transaction, inside one, and inside one that has failed."""
    async with asyncio.timeout(WAIT_S):
        for statement, extended in ALL:
            await play(
                link, [(before, False, None), (statement, extended, phase), ("SELECT 1", True, None)], stays=True
            )


@given(steps=STEPS, stays=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_client_and_server_agree(link: Link, steps: list[Step], stays: bool) -> None:
    """Simple and extended, one statement or several, in and out of transactions, and across them."""
    async with asyncio.timeout(WAIT_S):
        await link.direct.execute(f"DELETE FROM {link.table}")
        await play(link, steps, stays=stays)
