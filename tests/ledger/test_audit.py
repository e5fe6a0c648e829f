"""The audit on a real Postgres and a real NATS: what it counts, what it waits for, and what it does when a store is not there."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator

import anyio
import asyncpg
import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

from chaos.ledger import Access, Audit, Limits, audit
from chaos.ledger.jetstream import open_jetstream
from chaos.model.effect import EffectKind, Ledger, OpIdIn, SqlRead, StreamRead, Unfinished
from chaos.system import NatsServer, PostgresServer, reserve_port
from tests.ledger.stores import LIMITS, Stores, open_stores


@pytest.fixture
async def stores(postgres_server: PostgresServer, nats_server: NatsServer) -> AsyncIterator[Stores]:
    """A schema and a stream of the test's own."""
    async with open_stores(postgres_server, nats_server) as made:
        yield made


def counts(done: Audit, effect: str) -> Counter[str]:
    """How often the audit found each op id with that effect."""
    return Counter({one.op_id: one.count for one in done.effects if one.effect == effect})


def error(done: Audit, effect: str) -> str | None:
    """Why that effect could not be read."""
    return next(one.error for one in done.reads if one.effect == effect)


async def test_effects_are_counted_by_op_id(stores: Stores) -> None:
    """Rows and messages, one, two or none of each, and where the messages are."""
    await stores.order("a", "b", "b")
    await stores.event("a", "c", "c")
    done = await audit(stores.ledger, stores.access, LIMITS)
    assert (done.quiet.reached, done.quiet.left) == (True, ())
    assert counts(done, "order") == {"a": 1, "b": 2}
    assert counts(done, "event") == {"a": 1, "c": 2}
    assert [(one.effect, one.count, one.removed, one.error) for one in done.reads] == [
        ("order", 3, 0, None), ("event", 3, 0, None),
    ]  # fmt: skip
    assert next(one.places for one in done.effects if one.op_id == "c") == ("seq 2", "seq 3")


async def test_nothing_stored_is_nothing_found(stores: Stores) -> None:
    """An empty table and an empty stream were read all the same."""
    done = await audit(stores.ledger, stores.access, LIMITS)
    assert done.effects == ()
    assert [one.error for one in done.reads] == [None, None]


async def test_what_names_no_operation_is_counted_without_a_name(stores: Stores) -> None:
    """A row with NULL, a message without baggage."""
    await stores.database.execute(f"INSERT INTO {stores.name}.orders VALUES (NULL)")
    await stores.jetstream.publish(f"{stores.name}.event", b"{}")
    done = await audit(stores.ledger, stores.access, LIMITS)
    assert (counts(done, "order"), counts(done, "event")) == ({"": 1}, {"": 1})


@pytest.mark.parametrize(
    ("place", "key"),
    [(OpIdIn.SUBJECT, "-1"), (OpIdIn.HEADER, "X-Op"), (OpIdIn.BAGGAGE, "op.id"), (OpIdIn.JSON, "data.op_id")],
)
async def test_the_op_id_stands_where_it_is_declared(stores: Stores, place: OpIdIn, key: str) -> None:
    """The same messages, told apart by subject, header, baggage or payload; other subjects are left out."""
    for op_id in ("one", "two", "two"):
        await stores.jetstream.publish(
            f"{stores.name}.done.{op_id}",
            msgspec.json.encode({"data": {"op_id": op_id}}),
            headers={"X-Op": op_id, "baggage": f"tenant=amber,op.id={op_id}"},
        )
    await stores.event("other")
    read = StreamRead(stream=stores.name, op_id_in=place, key=key, subjects=f"{stores.name}.done.*")
    kind = EffectKind(name="done", about="done message", store="nats", read=read)
    done = await audit(Ledger(effects=(kind,), streams=(stores.name,)), stores.access, LIMITS)
    assert counts(done, "done") == {"one": 1, "two": 2}


async def test_a_long_stream_is_read_whole(stores: Stores) -> None:
    """Many batches, each message once, and our consumer is gone afterwards."""
    for first in range(0, 2_345, 335):
        await asyncio.gather(*(stores.event(f"op-{first + n}") for n in range(335)))
    done = await audit(stores.ledger, stores.access, LIMITS)
    assert counts(done, "event") == {f"op-{n}": 1 for n in range(2_345)}
    assert await stores.jetstream.consumers_info(stores.name) == []


async def test_rows_are_read_in_batches(stores: Stores) -> None:
    """More rows than one fetch takes; a query without a count counts rows."""
    await stores.database.execute(
        f"INSERT INTO {stores.name}.orders SELECT 'op-' || n % 6000 FROM generate_series(1, 12000) n"
    )
    kind = EffectKind(
        name="order", about="row", store="postgres", read=SqlRead(sql=f"SELECT op_id FROM {stores.name}.orders")
    )
    done = await audit(Ledger(effects=(kind,)), stores.access, LIMITS)
    assert counts(done, "order") == {f"op-{n}": 2 for n in range(6000)}


async def test_messages_that_are_gone_are_told(stores: Stores) -> None:
    """A stream that had to drop its first messages: what is missing in it proves nothing."""
    await stores.event("a", "b", "c")
    await stores.jetstream.purge_stream(stores.name, keep=1)
    done = await audit(stores.ledger, stores.access, LIMITS)
    assert counts(done, "event") == {"c": 1}
    assert [one.removed for one in done.reads if one.effect == "event"] == [2]


@pytest.mark.parametrize("retention", [RetentionPolicy.WORK_QUEUE, RetentionPolicy.INTEREST])
async def test_a_stream_that_forgets_is_refused(
    postgres_server: PostgresServer, nats_server: NatsServer, retention: RetentionPolicy
) -> None:
    """Counting what is left of a work queue would call every finished task lost."""
    async with open_stores(postgres_server, nats_server, retention=retention) as stores:
        done = await audit(stores.ledger, stores.access, LIMITS)
        assert "forgets messages once they are consumed" in (error(done, "event") or "")
        assert error(done, "order") is None


# --- What cannot be read.


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT op_id FROM {}.nothing", "UndefinedTableError"),
        ("SELEKT", "PostgresSyntaxError"),
        ("SELECT 1, 2, 3", "3 columns"),
        ("SELECT 'a', 'b'", "must count effects"),
        ("INSERT INTO {}.orders VALUES ('x') RETURNING op_id", "ReadOnlySQLTransactionError"),
        ("SELECT usename FROM pg_shadow", "InsufficientPrivilegeError"),
        ("SELECT pg_sleep(60)::text", "did not answer in time|canceling statement"),
    ],
)
async def test_a_query_that_is_wrong_costs_its_effect_only(stores: Stores, sql: str, says: str) -> None:
    """The reason is told; nothing is changed, nobody's rights are exceeded, and the next effect is read."""
    await stores.event("a")
    broken = EffectKind(name="broken", about="row", store="postgres", read=SqlRead(sql=sql.format(stores.name)))
    ledger = msgspec.structs.replace(stores.ledger, effects=(broken, *stores.ledger.effects))
    done = await audit(ledger, stores.access, Limits(call_s=1.0))
    assert (counts(done, "order"), counts(done, "event")) == ({}, {"a": 1})
    assert error(done, "order") is None
    found = error(done, "broken") or ""
    assert any(one in found for one in says.split("|")), found


async def test_a_stream_that_is_not_there_costs_its_effect_only(stores: Stores) -> None:
    """Its name is misspelt, say."""
    await stores.order("a")
    missing = EffectKind(name="missing", about="message", store="nats", read=StreamRead(stream="NOWHERE"))
    ledger = msgspec.structs.replace(stores.ledger, effects=(missing, *stores.ledger.effects))
    done = await audit(ledger, stores.access, LIMITS)
    assert "not found" in (error(done, "missing") or "")
    assert counts(done, "order") == {"a": 1}


async def test_stores_that_are_gone_are_evidence_not_an_end(stores: Stores) -> None:
    """Nobody listens: both effects could not be read, nothing is at rest, no exception."""
    with reserve_port() as one, reserve_port() as other:
        access = Access(postgres_dsn=f"postgres://x:y@{one.address}/z", nats_url=f"nats://{other.address}")
        done = await audit(stores.ledger, access, Limits(quiet_s=0.5, read_s=5.0, call_s=1.0))
    assert not done.quiet.reached
    assert len(done.quiet.left) == 2
    assert all(one.error for one in done.reads)
    assert done.effects == ()


async def test_stores_that_say_nothing_are_given_up_in_time(stores: Stores) -> None:
    """They accept and are silent: every call has its deadline."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
        host, port = silent.extra(anyio.abc.SocketAttribute.local_address)[:2]  # type: ignore[misc]
        access = Access(postgres_dsn=f"postgres://x:y@{host}:{port}/z", nats_url=f"nats://{host}:{port}")
        with anyio.fail_after(30):
            done = await audit(stores.ledger, access, Limits(quiet_s=0.5, read_s=2.0, call_s=0.5))
    assert not done.quiet.reached
    assert all("in time" in (one.error or "") or "over" in (one.error or "") for one in done.reads), done.reads


async def test_a_system_without_a_store_says_so() -> None:
    """No URL is no crash."""
    kinds = (
        EffectKind(name="row", about="row", store="postgres", read=SqlRead(sql="SELECT 1")),
        EffectKind(name="message", about="message", store="nats", read=StreamRead(stream="S")),
    )
    done = await audit(Ledger(effects=kinds), Access(), Limits(quiet_s=0.1))
    assert all("not known where" in (one.error or "") for one in done.reads)


async def test_a_missing_driver_is_evidence_not_an_end(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows cannot be read without asyncpg; messages can."""
    await stores.event("a")
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    done = await audit(stores.ledger, stores.access, Limits(quiet_s=0.1))
    assert (error(done, "order"), error(done, "event")) == ("asyncpg, which reads Postgres, is not installed", None)
    assert not done.quiet.reached


async def test_a_server_of_the_wrong_kind_is_evidence_not_an_end(stores: Stores) -> None:
    """What asyncpg raises of its own is no error of Postgres."""
    dsn = f"{stores.access.postgres_dsn}&target_session_attrs=read-only"
    access = Access(postgres_dsn=dsn, nats_url=stores.access.nats_url)
    done = await audit(stores.ledger, access, Limits(quiet_s=0.1))
    assert "TargetServerAttributeNotMatched" in (error(done, "order") or "")


def test_access_shows_no_credentials() -> None:
    """A repr may stand in a log."""
    shown = repr(Access(postgres_dsn="postgres://me:geheim@h/d", nats_url="nats://me:geheim@h"))
    assert shown == "<Access postgres, nats>"


# --- What is waited for.


async def waiting(stores: Stores, ledger: Ledger | None = None) -> asyncio.Task[Audit]:
    """An audit that has had to look at least once."""
    task = asyncio.create_task(audit(ledger or stores.ledger, stores.access, LIMITS))
    async with open_jetstream(stores.access, 5.0) as ours:  # as long as its own first look takes
        await ours.look((stores.name,))
    assert not task.done()
    return task


async def test_an_outbox_is_waited_for(stores: Stores) -> None:
    """As long as a row is in it there may be more effects."""
    await stores.database.execute(f"INSERT INTO {stores.name}.outbox VALUES (1)")
    task = await waiting(stores)
    await stores.event("a")
    await stores.database.execute(f"DELETE FROM {stores.name}.outbox")
    done = await task
    assert (done.quiet.reached, counts(done, "event")) == (True, {"a": 1})


async def test_an_open_transaction_is_waited_for(stores: Stores, postgres_server: PostgresServer) -> None:
    """What is not committed yet may be in a moment."""
    transaction = stores.database.transaction()
    await transaction.start()
    await stores.order("a")
    task = await waiting(stores)
    await transaction.commit()
    done = await task
    assert (done.quiet.reached, counts(done, "order")) == (True, {"a": 1})


async def test_messages_not_acknowledged_are_waited_for(stores: Stores) -> None:
    """Delivered but not done with, also while handed back with a pause."""
    await stores.event("a")
    config = ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT, ack_wait=10)
    await stores.jetstream.add_consumer(stores.name, config)
    subscription = await stores.jetstream.pull_subscribe_bind("worker", stores.name)
    [message] = await subscription.fetch(1, timeout=10)
    await message.nak(delay=1)
    task = await waiting(stores)
    [message] = await subscription.fetch(1, timeout=10)
    assert not task.done()
    await message.ack_sync()
    assert (await task).quiet.reached


async def test_what_is_stuck_is_told_and_the_rest_is_read(stores: Stores) -> None:
    """A consumer that nobody serves any more: not at rest, and sooner than the time allows."""
    await stores.event("a")
    await stores.jetstream.add_consumer(
        stores.name, ConsumerConfig(durable_name="dead", ack_policy=AckPolicy.EXPLICIT, ack_wait=0.5)
    )
    done = await audit(stores.ledger, stores.access, Limits(quiet_s=600.0))
    assert not done.quiet.reached
    assert done.quiet.left == (f"1 not delivered to dead of {stores.name}",)
    assert counts(done, "event") == {"a": 1}


async def test_streams_of_others_are_not_waited_for(stores: Stores) -> None:
    """Only those that the system names."""
    await stores.event("a")
    await stores.jetstream.add_consumer(
        stores.name, ConsumerConfig(durable_name="foreign", ack_policy=AckPolicy.EXPLICIT)
    )
    ledger = msgspec.structs.replace(stores.ledger, streams=(f"S{secrets.token_hex(4)}",))
    assert (await audit(ledger, stores.access, LIMITS)).quiet.reached


@pytest.mark.parametrize("sql", ["SELECT 'many'", "SELECT NULL", "SELECT x FROM nowhere"])
async def test_an_outbox_that_cannot_be_asked_is_no_rest(stores: Stores, sql: str) -> None:
    """Nobody knows what is in it."""
    ledger = msgspec.structs.replace(stores.ledger, unfinished=(Unfinished(name="outbox", sql=sql),))
    done = await audit(ledger, stores.access, Limits(quiet_s=0.3))
    assert not done.quiet.reached
    assert done.quiet.left


async def test_an_audit_can_be_cancelled_anywhere(stores: Stores, postgres_server: PostgresServer) -> None:
    """A run that is to end now: nothing of the audit stays behind, neither a session nor a consumer."""
    await asyncio.gather(*(stores.event(f"op-{n}") for n in range(600)))
    for number in range(40):
        with anyio.move_on_after(number * 0.004):
            await audit(stores.ledger, stores.access, LIMITS)
    admin = await asyncpg.connect(postgres_server.admin_dsn.reveal(), timeout=10)
    try:
        with anyio.fail_after(20):
            while await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chaos-drill'"):
                await anyio.sleep(0.05)
    finally:
        await admin.close()
    assert (await audit(stores.ledger, stores.access, LIMITS)).quiet.reached
