"""A whole local system: reserved, wired through links, started, restarted, stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from chaos.errors import NotReadyError
from chaos.system import (
    REFERENCE_LINKS,
    REFERENCE_SERVICES,
    Address,
    HttpReady,
    LocalSystem,
    ServiceSpec,
    make_scratch,
    open_children,
)
from chaos.system.local import _together
from chaos.system.readiness import http_status
from chaos.system.wiring import Credentials, Wiring

ECHO = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *args): pass
print("dsn", os.environ["POSTGRES_DSN"], flush=True)
http.server.HTTPServer((os.environ["LISTEN_HOST"], int(os.environ["LISTEN_PORT"])), Handler).serve_forever()
"""
SERVICES = (
    ServiceSpec(
        name="web",
        argv=(sys.executable, "-c", ECHO),
        calls={"web>postgres": "POSTGRES_DSN", "web>nats": "NATS_URL"},
        ready=HttpReady(path="/"),
    ),
)


def test_reference_wiring_follows_the_links() -> None:
    """Every service is told its own link's listener for each callee, and knows no credential it does not need."""
    upstreams = {
        name: Address("127.0.0.1", 1000 + n)
        for n, name in enumerate(("postgres", "nats", *(service.name for service in REFERENCE_SERVICES)))
    }
    listeners = {link: Address("127.0.0.1", 2000 + n) for n, link in enumerate(REFERENCE_LINKS)}
    wiring = Wiring(credentials=Credentials(), namespace="ns", defects=("one", "two"))
    for service in REFERENCE_SERVICES:
        env = wiring.fit(service, upstreams, listeners).env
        assert env["LISTEN_PORT"] == str(upstreams[service.name].port)
        assert (env["NAMESPACE"], env["CHAOS_DEFECTS"]) == ("ns", "one,two")
        for link, variable in service.calls.items():
            assert link in REFERENCE_LINKS
            assert f"@{listeners[link]}" in env[variable] or f"//{listeners[link]}" in env[variable]
        assert ("DIGEST_KEY" in env) == (service.name == "provider")
        assert ("PROVIDER_API_KEY" in env) == (service.name in ("provider", "gateway"))
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in env


def test_reference_links_are_complete() -> None:
    """The thirteen edges of the reference system and the driver's own one to the gateway."""
    assert len(set(REFERENCE_LINKS)) == len(REFERENCE_LINKS) == 14


async def _bring_up(log_dir: Path, ready: asyncio.Barrier) -> set[Address]:
    async with open_children(make_scratch("test"), log_dir) as children:
        with LocalSystem(children, log_dir, services=SERVICES) as system:
            upstreams = system.reserve()
            await system.start({})
            await ready.wait()  # both are up now
            assert await http_status(upstreams["web"], "/") == 200
            connection = await asyncpg.connect(system.postgres.dsn.reveal(), timeout=10)
            await connection.execute("CREATE TABLE mine (x int)")
            await connection.close()
            (ended,) = await system.stop_services()
            assert (ended.name, ended.code, ended.expected) == ("web", -signal.SIGTERM, True)
            return set(upstreams.values())


async def test_two_systems_at_once(tmp_path: Path) -> None:
    """Two runs on one machine have nothing in common."""
    ready = asyncio.Barrier(2)
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        tasks = [group.create_task(_bring_up(tmp_path / name, ready)) for name in ("one", "two")]
    assert not tasks[0].result() & tasks[1].result()


async def test_killed_parts_start_again_on_their_ports(tmp_path: Path) -> None:
    """After SIGKILL, server and service come back at the same address, with their data."""
    async with asyncio.timeout(90), open_children(make_scratch("test"), tmp_path) as children:
        came_up: list[str] = []
        with LocalSystem(
            children, tmp_path, services=SERVICES, progress=lambda child, _: came_up.append(child.name)
        ) as system:
            await system.start({})
            assert came_up == ["nats", "postgres", "web"]
            connection = await asyncpg.connect(system.postgres.dsn.reveal(), timeout=10)
            await connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
            for name in ("web", "postgres", "nats"):
                victim = children[name]
                victim.signal(signal.SIGKILL)
                await victim.wait()
                assert (await system.restart(name)).pid != victim.pid
            connection.terminate()
            connection = await asyncpg.connect(system.postgres.dsn.reveal(), timeout=10)
            assert await connection.fetchval("SELECT x FROM kept") == 1
            await connection.close()


async def test_failure_names_the_service(tmp_path: Path) -> None:
    """What did not come up is raised as itself, not in a group, and everything else is ended."""
    broken = ServiceSpec(name="broken", argv=("sh", "-c", "echo no luck; exit 4"))
    scratch = make_scratch("test")

    async def bring_up() -> None:
        async with asyncio.timeout(90), open_children(scratch, tmp_path) as children:
            with LocalSystem(children, tmp_path, services=(*SERVICES, broken)) as system:
                await system.start({})

    with pytest.raises(NotReadyError, match=r"(?s)broken ended.*exit code 4.*no luck"):
        await bring_up()
    assert not scratch.path.exists()


AS_SOMEBODY = """
import asyncio, os, sys
from pathlib import Path
from chaos.system import *

async def main():
    assert os.geteuid() != 0
    async with open_children(make_scratch("test"), Path(sys.argv[1])) as children:
        with LocalSystem(children, Path(sys.argv[1]), services=()) as system:
            await system.start({})
            print("up", system.postgres.child.spec.account)

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="all other tests run without root already")
def test_without_root(tmp_path: Path) -> None:
    """An ordinary user brings up the servers as himself (here: in a user namespace)."""
    unshare = [shutil.which("unshare") or "unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine allows no user namespaces")
    done = subprocess.run(
        [*unshare, sys.executable, "-c", AS_SOMEBODY, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "up None", done.stderr


async def test_a_failed_start_leaves_its_task_uncancelled(tmp_path: Path) -> None:
    """After services that do not come up, cancel scopes around the caller work as ever: no CancelledError gets out."""
    broken = tuple(
        ServiceSpec(name=name, argv=(sys.executable, "-c", "raise SystemExit(3)"), ready=HttpReady(path="/"))
        for name in ("one", "two")
    )
    async with open_children(make_scratch("test"), tmp_path) as children:
        with LocalSystem(children, tmp_path, services=broken) as system:
            system.reserve()
            with pytest.raises(NotReadyError, match="ended before it was ready"):
                await _together(*(partial(system._start_service, one, {}) for one in broken))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
