"""Postgres and NATS tell who is connected to them, and who was; connections of our own are left out."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence

import asyncpg
import nats
import pytest

from chaos.errors import NotReadyError
from chaos.system import Address, NatsServer, PostgresServer
from chaos.system.callers import OUR_NAME, Caller, nats_callers, postgres_callers
from chaos.system.ports import reserve_port


@pytest.fixture
def name() -> str:
    """What the clients of one test call themselves: the servers are everybody's."""
    return f"client {uuid.uuid4().hex}"


def of(callers: Sequence[Caller], name: str) -> list[Caller]:
    """Those of that name."""
    return [one for one in callers if one.name == name]


async def login(server: PostgresServer, name: str) -> asyncpg.Connection:
    """A connection straight to Postgres."""
    return await asyncpg.connect(server.dsn.reveal(), server_settings={"application_name": name}, timeout=10)


async def test_postgres_tells_of_connections_open_and_closed(postgres_server: PostgresServer, name: str) -> None:
    """With the backend's pid as the wire log writes it, and the client's address."""
    closed, living = await login(postgres_server, name), await login(postgres_server, name)
    pids = [one.get_server_pid() for one in (closed, living)]
    port = living._transport.get_extra_info("sockname")[1]
    await closed.close()
    found = of(await postgres_callers(postgres_server), name)
    assert {one.key for one in found} == {f"pid={pid}" for pid in pids}
    assert len(found) == 2
    (one,) = (one for one in found if one.key == f"pid={pids[1]}")
    assert (one.host, one.port) == ("127.0.0.1", port)
    await living.close()


async def test_the_superusers_connections_to_postgres_are_ours(postgres_server: PostgresServer) -> None:
    """Read-back and this check go past the proxy on purpose."""
    admin = await asyncpg.connect(postgres_server.admin_dsn.reveal(), timeout=10)
    keys = {one.key for one in await postgres_callers(postgres_server)}
    assert f"pid={admin.get_server_pid()}" not in keys
    await admin.close()


async def test_nats_tells_of_connections_open_and_closed(nats_server: NatsServer, name: str) -> None:
    """With the client's number as the wire log writes it; ours go by their name."""
    url = nats_server.url.reveal()
    closed, living, ours = [await nats.connect(url, name=one) for one in (name, name, OUR_NAME)]
    cids = [one.client_id for one in (closed, living)]
    await closed.close()
    callers = await nats_callers(nats_server)
    found = of(callers, name)
    assert {one.key for one in found} == {f"cid={cid}" for cid in cids}
    assert all(one.host == "127.0.0.1" and one.port > 0 for one in found)
    assert f"cid={ours.client_id}" not in {one.key for one in callers}
    await living.close()
    await ours.close()


async def test_servers_that_are_gone_are_not_ready(postgres_server: PostgresServer, nats_server: NatsServer) -> None:
    """The error names who did not answer; nothing hangs and nothing else is raised."""
    with reserve_port() as hold:
        nobody = Address(hold.address.host, hold.address.port)
        with pytest.raises(NotReadyError, match="Postgres does not tell who is connected"):
            await postgres_callers(dataclasses.replace(postgres_server, address=nobody))
        with pytest.raises(NotReadyError, match="nats-server's monitor does not tell"):
            await nats_callers(dataclasses.replace(nats_server, monitor=nobody))
