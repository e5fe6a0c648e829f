"""From `init` to a verdict on a system of one's own: one that the run starts, and one that runs already behind `attach`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import asyncpg
import httpx
import pytest

from chaos.engine import attached_links
from chaos.links import connect_embedded
from chaos.system import (
    PortHold,
    PostgresServer,
    ServiceSpec,
    make_scratch,
    minimal_environment,
    open_children,
    reserve_port,
    start_postgres,
)
from chaos.system.children import Children
from chaos.system.services import start_service
from tests.drills.own import COMPOSE, EXAMPLE, LOST_ANSWERS, ORDERS, QUICKER, attached, begin, edit, place_orders
from tests.drills.running import Result, run_drill
from tests.links.servers import real_toxiproxy

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]


def begun(folder: Path) -> Path:
    """The scenario that `init` writes for a folder with an application and the name of a variable, told how that is started."""
    shutil.copy(EXAMPLE / "app.py", folder)
    (folder / ".env").write_text("DATABASE_URL=whatever\n")
    assert "found  .env (1 name, no values)" in begin(folder)
    scenario = folder / "drill.yaml"
    edit(scenario, ("app.py --port {port}", "app.py {port}"), *ORDERS)
    return scenario


def assert_holds(result: Result) -> None:
    """Exit 0, the fault proven, and every order found once."""
    assert result.code == 0, result.explain()
    assert set(result.cells("injected").values()) == {"HOLDS"}, result.explain()
    assert set(result.cells("exactly-once").values()) == {"HOLDS"}, result.explain()


def test_a_system_that_the_run_starts(tmp_path: Path) -> None:
    """What `init` wrote, with its guesses put right, is a drill that holds."""
    assert_holds(run_drill(str(begun(tmp_path)), out=tmp_path / "runs"))


async def test_a_system_that_the_run_starts_through_a_real_toxiproxy(tmp_path: Path) -> None:
    """The same through a server that was there before, which has no proxy and no toxic of ours afterwards."""
    async with real_toxiproxy() as server:
        scenario = begun(tmp_path)
        edit(scenario, *QUICKER)
        result = await anyio.to_thread.run_sync(
            lambda: run_drill(str(scenario), "--proxy", server, out=tmp_path / "runs")
        )
        assert_holds(result)
        async with httpx.AsyncClient(base_url=server, trust_env=False) as client:
            assert (await client.get("/proxies")).json() == {}


class Shop:
    """What the page's compose file lists, each service a process at the port that it publishes; orders come in at `orders`."""

    def __init__(self, children: Children, database: PostgresServer, orders: PortHold, logs: Path) -> None:
        self._children, self._database, self._orders, self._logs = children, database, orders, logs
        dsn = database.dsn.reveal()
        user, _, rest = dsn.removeprefix("postgres://").partition(":")
        self.environment = {
            "POSTGRES_USER": user,
            "DB_PASSWORD": rest.rpartition("@")[0],
            "POSTGRES_DB": rest.rpartition("/")[2],
        }

    def compose(self) -> str:
        """The page's file with the ports of these processes."""
        ports = {"127.0.0.1:8000:": self._orders.address, "127.0.0.1:5432:": self._database.address}
        text = COMPOSE
        for written, address in ports.items():
            assert text.count(written) == 1
            text = text.replace(written, f"{address}:")
        return text

    async def open(self, database_at: str) -> None:
        """Start the orders service, told that its database is there, and wait until it is ready."""
        dsn = self._database.dsn.reveal().replace(str(self._database.address), database_at)
        argv = (sys.executable, str(EXAMPLE / "app.py"), str(self._orders.address.port))
        env = {**minimal_environment(), "DATABASE_URL": dsn}
        spec = ServiceSpec(name="orders", argv=argv)
        await start_service(self._children, spec, self._orders, env, self._logs / "orders.log")

    async def stored(self, names: list[str]) -> int:
        """How many rows there are of these orders, asked past every link."""
        connection = await asyncpg.connect(self._database.dsn.reveal())
        try:
            return int(await connection.fetchval("SELECT count(*) FROM orders WHERE id = ANY($1)", names))
        finally:
            await connection.close()


@asynccontextmanager
async def shop(logs: Path) -> AsyncIterator[Shop]:
    """Its database is up, its orders service is not yet."""
    with reserve_port() as orders, reserve_port() as postgres:
        async with open_children(make_scratch("tests"), logs) as children:
            database = await start_postgres(children, postgres, logs / "postgres.log")
            yield Shop(children, database, orders, logs)


async def test_runs_come_and_go_on_a_system_that_runs_already(tmp_path: Path) -> None:
    """`init` from a compose file, `attach`, the service pointed at its link, and two runs: one holds, the next finds the flaw.

    The services of the compose file run as processes at the ports that it publishes (tests/drills/test_compose.py has containers).
    `attach` outlives both runs with its listeners, and no fault stays on them: orders that go through them are stored once.
    """
    scenario, links = tmp_path / "drill.yaml", tmp_path / "links.yaml"
    async with shop(tmp_path) as system:
        (tmp_path / "compose.yaml").write_text(system.compose())
        (tmp_path / ".env").write_text("DB_PASSWORD=whatever\n")
        assert "found  compose.yaml (orders, db); .env" in begin(tmp_path)
        edit(scenario, ("  #postgres: ", "  postgres: "), *ORDERS, *QUICKER)
        listeners = {link.name: link.listen or "" for link in attached_links(str(links))}
        with attached(links) as proxy:
            await system.open(listeners["orders>postgres"])

            async def run(out: str) -> Result:
                arguments = (str(scenario), "--proxy", proxy.url)
                return await anyio.to_thread.run_sync(
                    lambda: run_drill(*arguments, out=tmp_path / out, env=system.environment)
                )

            async def assert_untouched() -> None:
                assert proxy.process.poll() is None
                async with connect_embedded(proxy.url) as control:
                    there = await control.status()
                assert {one.name: one.listen for one in there} == listeners
                assert [toxic for one in there for toxic in one.toxics] == []
                names = await anyio.to_thread.run_sync(place_orders, listeners["driver>orders"])
                assert await system.stored(names) == len(names)

            assert_holds(await run("first"))
            await assert_untouched()

            edit(scenario, *LOST_ANSWERS)
            flawed = await run("second")
            assert flawed.code == 1, flawed.explain()
            assert flawed.violated() == {"exactly-once"}, flawed.explain()
            (finding,) = flawed.verdict["findings"]
            assert finding["error_class"] == "duplicated"
            assert finding["seen"] == "2 orders rows in postgres"
            await assert_untouched()
            assert proxy.detach() == 0
