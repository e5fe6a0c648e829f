"""Plain SQL statements on a real Postgres: rows, values, errors by their SQLSTATE, and a door that never hangs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chaos.errors import NotReadyError
from chaos.model.operation import AnswerKind, EffectState, Operation
from chaos.system import Address, PostgresServer
from chaos.workloads.operations.plain_sql import status_of
from tests.workloads.plain_rig import Flyer, flying, plan_with, scenario_with
from tests.workloads.rig import HANG_S, running_driver
from tests.workloads.through import Through, through

ORDERS = """
- kind: sql
  to: db
  rate: 9/s
  deadline: DEADLINE
  operations:
    put: {query: "insert into SCHEMA.orders (id, amount, who) values ($1, $2, $3)", args: ["{op_id}", "{int:1-9}", "w-{index}"], expect: {rows: 1}}
    back: {query: "insert into SCHEMA.orders (id) values ($1) returning id", args: ["{op_id}"], expect: {rows: 1, value: "{op_id}"}}
    count: {query: "select count(*) from SCHEMA.orders", expect: {value: 0}}
    none: {query: "select id from SCHEMA.orders where id = $1", args: ["{op_id}"], expect: {value: x}}
    change: {query: "update SCHEMA.orders set amount = 1", expect: {rows: 5}}
    types: {query: "select '{\\"a\\": [1]}'::jsonb", expect: {value: {a: [1]}}}
    number: {query: "select 1.50::numeric", expect: {value: "1.50"}}
    date: {query: "select date '2026-01-02'", expect: {value: "2026-01-02"}}
    null: {query: "select null", expect: {value: null}}
    twice: {query: "insert into SCHEMA.orders (id) values ('same')"}
    nonsense: {query: "selct 1"}
    wrongly: {query: "select $1::int", args: [text]}
    slow: {query: "select pg_sleep(30)"}
    open: {query: begin}
    fatal: {query: "select pg_terminate_backend(pg_backend_pid())"}
"""


@pytest.fixture
async def schema(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """A schema with an empty table of its own."""
    name = f"s{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres_server.dsn.reveal(), ssl=False)
    try:
        await connection.execute(
            f"create schema {name}; create table {name}.orders (id text primary key, amount int, who text)"
        )
        yield name
        await connection.execute(f"drop schema {name} cascade")
    finally:
        await connection.close()


def workload(schema: str, deadline: str = "5s") -> str:
    """The workload on that schema."""
    return ORDERS.replace("SCHEMA", schema).replace("DEADLINE", deadline)


async def fly(server: PostgresServer, schema: str, name: str) -> Operation:
    """One operation, straight at the server."""
    async with flying(workload(schema), {"db": server.dsn.reveal()}) as flyer:
        return await flyer.fly(name)


@asynccontextmanager
async def behind(server: PostgresServer, schema: str, deadline: str = "5s") -> AsyncIterator[tuple[Flyer, Through]]:
    """A flyer that reaches the server through a relay."""
    async with through((server.address.host, server.address.port)) as relay:
        dsn = server.dsn_through(Address("127.0.0.1", relay.port)).reveal()
        async with flying(workload(schema, deadline), {"db": dsn}) as flyer:
            yield flyer, relay


@pytest.mark.parametrize("name", ["put", "back", "count", "types", "number", "date", "null"])
async def test_statements_meet_what_is_declared(postgres_server: PostgresServer, schema: str, name: str) -> None:
    """Rows changed and returned, values of several types."""
    operation = await fly(postgres_server, schema, name)
    assert (operation.answer.kind, operation.answer.status, operation.unmet) == (AnswerKind.OK, None, ())
    writes = name in {"put", "back"}
    assert operation.effect is (EffectState.APPLIED if writes else EffectState.READ)
    assert 0 < operation.start_ns < operation.first_byte_ns <= operation.end_ns


async def test_arguments_are_filled_in(postgres_server: PostgresServer, schema: str) -> None:
    """Text stays text, a number's placeholder is a number: what was stored says so."""
    operation = await fly(postgres_server, schema, "put")
    connection = await asyncpg.connect(postgres_server.dsn.reveal(), ssl=False)
    try:
        row = await connection.fetchrow(f"select id, amount, who from {schema}.orders")
    finally:
        await connection.close()
    assert row is not None
    assert (row["id"], row["who"]) == (operation.op_id, "w-0")
    assert row["amount"] in range(1, 10)


@pytest.mark.parametrize(
    ("name", "check", "expected", "seen"),
    [("none", "value", "x", "no row"), ("change", "rows", "5", "0")],
)
async def test_wrong_content_is_named(
    postgres_server: PostgresServer, schema: str, name: str, check: str, expected: str, seen: str
) -> None:
    """A missing row and a wrong count."""
    operation = await fly(postgres_server, schema, name)
    assert operation.ok
    assert [(one.check, one.expected, one.seen) for one in operation.unmet] == [(check, expected, seen)]


async def test_errors_have_their_sqlstate(postgres_server: PostgresServer, schema: str) -> None:
    """The code is the SQLSTATE, the status what a service would make of it; the connection is used again."""
    async with behind(postgres_server, schema) as (flyer, relay):
        assert (await flyer.fly("twice")).ok
        again = await flyer.fly("twice")
        wrong = await flyer.fly("nonsense")
        assert relay.connections == 1
    assert (again.answer.kind, again.answer.code, again.answer.status) == (AnswerKind.ERROR, "23505", 409)
    assert again.effect is EffectState.UNKNOWN
    assert "duplicate key" in (again.answer.detail or "")
    assert (wrong.answer.code, wrong.answer.status, wrong.answer.layer) == ("42601", 400, "system")


async def test_an_argument_of_another_type_is_the_scenarios_mistake(
    postgres_server: PostgresServer, schema: str
) -> None:
    """It is told as a failure at the driver, with asyncpg's words."""
    operation = await fly(postgres_server, schema, "wrongly")
    assert (operation.answer.layer, operation.answer.code) == ("driver", "protocol")
    assert "$1" in (operation.answer.detail or "")


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [("57014", 504), ("57P01", 503), ("53300", 503), ("08P01", 503), ("40001", 409), ("23505", 409), ("28P01", 403),
     ("42P01", 400), ("22P02", 400), ("55P03", 409), ("XX000", 500), ("", 500)],
)  # fmt: skip
def test_statuses_of_sqlstates(sqlstate: str, status: int) -> None:
    """What each class is like."""
    assert status_of(sqlstate) == status


async def test_connections_are_kept_one_after_the_other(postgres_server: PostgresServer, schema: str) -> None:
    """Sequential statements share a connection, those at once do not; an open transaction is not handed on."""
    async with behind(postgres_server, schema) as (flyer, relay):
        for _ in range(3):
            assert (await flyer.fly("put")).ok
        assert relay.connections == 1
        await asyncio.gather(*(flyer.fly("back") for _ in range(4)))
        assert relay.connections <= 4
        assert (await flyer.fly("open")).ok
        assert (await flyer.fly("put")).ok
    assert await stored(postgres_server, schema) == 3 + 4 + 1


async def stored(server: PostgresServer, schema: str) -> int:
    """How many rows there are."""
    connection = await asyncpg.connect(server.dsn.reveal(), ssl=False)
    try:
        count: int = await connection.fetchval(f"select count(*) from {schema}.orders")
        return count
    finally:
        await connection.close()


async def test_silence_is_no_answer_and_hangs_nothing(postgres_server: PostgresServer, schema: str) -> None:
    """Replies that never come: the operation ends with its wait, the door closes at once, and the next one is fine."""
    async with behind(postgres_server, schema, "20ms") as (flyer, relay):
        assert (await flyer.fly("put")).ok
        relay.mute = True
        operations = await asyncio.gather(flyer.fly("put"), flyer.fly("put"))
        assert [one.answer.kind for one in operations] == [AnswerKind.NONE] * 2
        assert {one.effect for one in operations} == {EffectState.UNKNOWN}
        relay.mute = False
        assert (await flyer.fly("put")).ok
        relay.mute = True
        waiting = asyncio.ensure_future(flyer.fly("put"))
        await relay.heard.wait()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < HANG_S
    assert (await waiting).answer.kind in {AnswerKind.NONE, AnswerKind.ERROR}


@pytest.mark.parametrize(("reset", "code"), [(False, "closed"), (True, "connection-reset")])
async def test_a_cut_in_flight_is_named(postgres_server: PostgresServer, schema: str, reset: bool, code: str) -> None:
    """FIN and RST while the reply is awaited; nothing is known of the effect."""
    async with behind(postgres_server, schema) as (flyer, relay):
        assert (await flyer.fly("put")).ok
        relay.mute = True
        relay.heard.clear()
        waiting = asyncio.ensure_future(flyer.fly("put"))
        await relay.heard.wait()
        await relay.cut(reset=reset)
        operation = await waiting
        assert (operation.answer.layer, operation.answer.code) == ("driver", code)
        assert operation.effect is EffectState.UNKNOWN


async def test_a_server_that_ends_the_session_says_so(postgres_server: PostgresServer, schema: str) -> None:
    """A FATAL is an answer with its SQLSTATE; its connection is not used again."""
    async with behind(postgres_server, schema) as (flyer, relay):
        operation = await flyer.fly("fatal")
        assert (operation.answer.code, operation.answer.status) == ("57P01", 503)
        assert (await flyer.fly("put")).ok
        assert relay.connections == 2


async def test_nobody_there_means_nothing_was_done(postgres_server: PostgresServer, schema: str) -> None:
    """A refused connection, and a kept one that ended meanwhile."""
    async with behind(postgres_server, schema) as (flyer, relay):
        assert (await flyer.fly("put")).ok
        await relay.down()
        async with asyncio.timeout(HANG_S):
            while flyer.doors.plain.sql["db"].idle:
                await asyncio.sleep(0.001)
        operation = await flyer.fly("put")
        assert (operation.answer.code, operation.effect) == ("connect-refused", EffectState.NOT_APPLIED)
        await relay.up()
        assert (await flyer.fly("put")).ok


async def test_a_login_that_is_refused_is_an_answer(postgres_server: PostgresServer, schema: str) -> None:
    """The server's own error, before any statement."""
    dsn = f"postgres://nobody:wrong@{postgres_server.address}/nothing"
    async with flying(workload(schema), {"db": dsn}) as flyer:
        operation = await flyer.fly("put")
    assert (operation.answer.status, operation.answer.code) == (403, "28P01")


async def test_set_up_waits_for_the_database(postgres_server: PostgresServer, schema: str) -> None:
    """The driver is not ready before the database answers, and says what it waited for; no password is told."""
    async with through((postgres_server.address.host, postgres_server.address.port)) as relay:
        await relay.down()
        dsn = postgres_server.dsn_through(Address("127.0.0.1", relay.port)).reveal()
        plan = plan_with(scenario_with(workload(schema)), {"db": dsn})
        async with running_driver() as rig:
            with pytest.raises(NotReadyError, match="select 1 on driver>db: ConnectionRefusedError") as caught:
                await rig.control.setup(plan, within_s=2)
            assert postgres_server.password.reveal() not in str(caught.value)
        await relay.up()
        async with running_driver() as rig:
            await rig.control.setup(plan, within_s=20)
