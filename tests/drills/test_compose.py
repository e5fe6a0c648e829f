"""The page's compose files in a real Docker engine: `init`, `attach` on the engine's bridge, containers up, a drill that finds the flaw.

The images that they name are replaced by one made on the spot, from no registry: the skeleton of a file system, into which the programs
of this machine are mounted. Without an engine the test is skipped; tests/drills/test_own_system.py then still drills the same compose
file, its services run as processes at the ports that it publishes.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from chaos.engine import attached_links
from chaos.system import reserve_port
from chaos.system.accounts import unprivileged_account
from chaos.system.binaries import postgres_bin
from tests.drills import own
from tests.drills.engine import SYSTEM_FOLDERS, USER, composed, find_compose, gateway, imported
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]

PASSWORD = "compose-0815-canary"
ENVIRONMENT = {"POSTGRES_USER": "app", "DB_PASSWORD": PASSWORD, "POSTGRES_DB": "app"}
READY_WITHIN_S = 60.0

DATABASE = """\
set -e
umask 077
printf %s "$POSTGRES_PASSWORD" > /tmp/password
initdb -D /tmp/data -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/password --no-sync --no-locale -E UTF8
echo "host all all all scram-sha-256" >> /tmp/data/pg_hba.conf
echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D /tmp/data postgres
exec postgres -D /tmp/data -c listen_addresses='*' -c unix_socket_directories=
"""
"""What an image of Postgres does when it is started."""


def here(image: str) -> dict[str, Any]:
    """A third compose file: this machine's programs instead of the images that the page's files name."""
    programs = postgres_bin(unprivileged_account())
    mounts = [*SYSTEM_FOLDERS, sys.base_prefix, sys.prefix, str(programs.parents[2]), str(own.EXAMPLE)]
    volumes = [f"{path}:{path}:ro" for path in dict.fromkeys(mounts)]
    serve = [sys.executable, "-m", "uvicorn", "app:app", "--host", "0.0.0.0", "--port", "8000"]
    path = f"{programs}:/usr/bin:/bin"
    return {
        "services": {
            # It gives up where its database is not ready yet.
            "orders": {"image": image, "command": serve, "working_dir": str(own.EXAMPLE), "volumes": volumes, "restart": "always"},
            "db": {
                "image": image, "command": ["/bin/sh", "-c", DATABASE.replace("$", "$$")], "environment": {"PATH": path},
                "volumes": volumes, "user": f"{USER}:{USER}",
            },
        }
    }  # fmt: skip


def wait_ready(at: str) -> None:
    """Until the orders service answers; it is in a container, whose start has no other signal."""
    deadline = time.monotonic() + READY_WITHIN_S
    with httpx.Client(base_url=f"http://{at}", timeout=5, trust_env=False) as client:
        while not _answers(client):
            assert time.monotonic() < deadline, f"orders was not ready within {READY_WITHIN_S:g} s"
            time.sleep(0.1)


def _answers(client: httpx.Client) -> bool:
    """Whether it is there by now; what it answers is right from the first time on."""
    try:
        answer = client.get("/healthz")
    except httpx.TransportError:
        return False
    assert answer.status_code == 200
    return True


def test_the_flaw_of_a_service_in_a_container_is_found(tmp_path: Path) -> None:
    """Exit 1: the answers that the link takes from the container make it store orders twice. Nothing of the drill stays on the links."""
    command, bridge = find_compose(), gateway()
    scenario, links = tmp_path / "drill.yaml", tmp_path / "links.yaml"
    compose, overlay, local = (tmp_path / name for name in ("compose.yaml", "compose.drill.yaml", "compose.here.yaml"))
    name = f"chaos-drill-{uuid.uuid4().hex[:8]}"
    compose.write_text(own.COMPOSE)
    (tmp_path / ".env").write_text("DB_PASSWORD=whatever\n")
    with reserve_port() as orders, reserve_port() as database, imported(name) as image:
        own.edit(compose, ("127.0.0.1:8000:", f"{orders.address}:"), ("127.0.0.1:5432:", f"{database.address}:"))
        own.begin(tmp_path)
        listeners = {link.name: link.listen or "" for link in attached_links(str(links))}
        at = listeners["orders>postgres"]
        own.edit(links, (f"listen: {at}", f"listen: {at.replace('127.0.0.1', bridge)}"))
        overlay.write_text(own.OVERLAY)
        own.edit(overlay, (":21102/", f":{at.rpartition(':')[2]}/"))
        local.write_text(yaml.safe_dump(here(image)))
        own.edit(scenario, ("  #postgres: ", "  postgres: "), *own.ORDERS, *own.LOST_ANSWERS, *own.QUICKER)
        scenario.write_text(f"{scenario.read_text()}allow_hosts: [{bridge}]\n")
        with (
            own.attached(links, "--allow-host", bridge) as proxy,
            composed(command, name, [compose, overlay, local], ENVIRONMENT),
        ):
            wait_ready(str(orders.address))
            result = run_drill(str(scenario), "--proxy", proxy.url, out=tmp_path / "runs", env=ENVIRONMENT)
            assert result.code == 1, result.explain()
            assert result.violated() == {"exactly-once"}, result.explain()
            assert [one["error_class"] for one in result.verdict["findings"]] == ["duplicated"], result.explain()
            there = httpx.get(f"{proxy.url}/proxies", trust_env=False).json()
            assert {one["name"]: one["toxics"] for one in there.values()} == {link: [] for link in listeners}
            own.place_orders(listeners["driver>orders"])
            assert proxy.detach() == 0
    assert not [path for path in result.folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
