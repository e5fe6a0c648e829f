"""A cluster that tells its clients of all its servers: whoever connects through a framed link stays on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest

from chaos.model.link import Protocol
from chaos.system import make_scratch, open_children, reserve_port
from chaos.system.binaries import nats_server_binary
from chaos.system.child import ChildSpec
from chaos.system.environment import minimal_environment
from chaos.system.ports import Address


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[Address]]:
    """Two servers that know each other, and advertise themselves."""
    async with open_children(make_scratch("tests"), tmp_path) as children:
        with reserve_port() as a, reserve_port() as b, reserve_port() as route_a, reserve_port() as route_b:
            holds = [(a, route_a), (b, route_b)]
            for index, (client, route) in enumerate(holds):
                config = children.scratch.make(f"n{index}") / "server.conf"
                routes = [f"nats://{other.address}" for _, other in holds if other is not route]
                told = {"name": "c", "listen": str(route.address), "routes": routes}
                text = {
                    "server_name": f"n{index}",
                    "host": client.address.host,
                    "port": client.address.port,
                    "cluster": told,
                }
                config.write_text(json.dumps(text))
                client.hand_over()
                route.hand_over()
                argv = (str(nats_server_binary()), "-c", str(config))
                log = tmp_path / f"n{index}.log"
                await children.start(
                    ChildSpec(name=f"n{index}", argv=argv, log=log, env=minimal_environment(), cwd=config.parent)
                )
            yield [a.address, b.address]


async def connect(address: Address, **options: Any) -> Any:
    """A client, once the server is up."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await nats.connect(f"nats://{address}", connect_timeout=5, **options)
            except (OSError, nats.errors.Error):
                await asyncio.sleep(0.05)


async def test_a_cluster_leads_no_client_round_the_proxy(cluster: list[Address], teed_of: Any) -> None:
    """Directly connected, a client learns of the other server; through the link it learns of none, and comes back through the link."""
    direct = await connect(cluster[0])
    async with asyncio.timeout(30):
        while not direct.discovered_servers:
            await asyncio.sleep(0.02)
    teed = await teed_of(Protocol.NATS, cluster[0])
    again = asyncio.Event()

    async def reconnected() -> None:
        again.set()

    client = await connect(
        teed.address, reconnect_time_wait=0.01, max_reconnect_attempts=50, reconnected_cb=reconnected
    )
    await client.flush(10)
    assert b"connect_urls" in bytes(teed.behind.seen[-1][1])
    assert client.discovered_servers == []
    connections = teed.proxy.connections()
    for connection in connections:
        connection.reset("rst")
    await asyncio.wait_for(again.wait(), 30)
    assert client.connected_url.netloc == str(teed.address)
    assert client.discovered_servers == []
    await client.flush(10)
    for one in (client, direct):
        await asyncio.wait_for(one.close(), 10)
    told = [record for record in await teed.records() if record.kind == "rewrite"]
    assert len(told) >= 2
    assert {record.status for record in told} == {"connect_urls emptied"}
