"""Rest is that of every store of the system: an effect in one of them may have yet to come out of another."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import anyio
import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from chaos.ledger import Access, Limits, audit
from chaos.model.effect import Ledger
from chaos.system import NatsServer, PostgresServer, reserve_port
from chaos.system.binaries import nats_server_binary
from tests.ledger.stores import LIMITS, Stores, open_stores


@pytest.fixture
async def stores(postgres_server: PostgresServer, nats_server: NatsServer) -> AsyncIterator[Stores]:
    """A schema and a stream of the test's own."""
    async with open_stores(postgres_server, nats_server) as made:
        yield made


def only(stores: Stores, store: str) -> Ledger:
    """The ledger with the effects of one store, and nothing said of unfinished work."""
    kept = tuple(one for one in stores.ledger.effects if one.store == store)
    return msgspec.structs.replace(stores.ledger, effects=kept, unfinished=())


async def test_rows_may_come_out_of_a_stream(stores: Stores) -> None:
    """A worker has yet to get what it will write down."""
    await stores.event("a")
    worker = ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT, ack_wait=0.5)
    await stores.jetstream.add_consumer(stores.name, worker)
    done = await audit(only(stores, "postgres"), stores.access, Limits(quiet_s=0.5))
    assert not done.quiet.reached
    assert done.quiet.left == (f"1 not delivered to worker of {stores.name}",)


async def test_messages_may_come_out_of_a_transaction(stores: Stores) -> None:
    """Who publishes after its commit has not published yet."""
    async with stores.database.transaction():
        done = await audit(only(stores, "nats"), stores.access, Limits(quiet_s=0.5))
    assert not done.quiet.reached
    assert "a transaction of" in done.quiet.left[0]


@pytest.fixture
async def bare_nats() -> AsyncIterator[str]:
    """The URL of a nats-server without JetStream."""
    with reserve_port() as hold:
        address = hold.address
    argv = [str(nats_server_binary()), "-a", address.host, "-p", str(address.port)]
    async with await anyio.open_process(argv, stdout=subprocess.DEVNULL) as process:
        said = ""
        with anyio.fail_after(20):
            assert process.stderr is not None
            while "Server is ready" not in said:
                said += (await process.stderr.receive()).decode()
        yield f"nats://{address}"
        process.terminate()


async def test_nats_without_jetstream_is_at_rest(stores: Stores, bare_nats: str) -> None:
    """It keeps nothing that anybody could have yet to get."""
    await stores.order("a")
    access = Access(
        postgres_dsn=stores.access.postgres_dsn, postgres_role=stores.access.postgres_role, nats_url=bare_nats
    )
    done = await audit(only(stores, "postgres"), access, LIMITS)
    assert (done.quiet.reached, done.quiet.left) == (True, ())
