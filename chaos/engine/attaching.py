"""Links for a system that runs already: each with a listener of its own that stays the same from run to run."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chaos.engine.files import find_scenario
from chaos.engine.planning import load_plan, read_map
from chaos.errors import NotReadyError, UsageError
from chaos.model.link import Link, Tls
from chaos.model.reading import beyond_loopback

__all__ = ["attached_links", "proxy_config", "refuse_taken", "written_config"]

_LAST_PORT = 65535
_TIMELINE = re.compile(rb"^['\"]?timeline['\"]?\s*:", re.MULTILINE)  # what every scenario has, and no link map


def attached_links(target: str, *, first_port: int | None = None, allow_hosts: Sequence[str] = ()) -> tuple[Link, ...]:
    """The links of a link map or a scenario, all with their two addresses.

    Raises UsageError for a link that has none, ScenarioError for a file that is not valid.
    """
    links = _links(target)
    for name, host in beyond_loopback(links, allow_hosts):
        raise UsageError(
            f"{target}: {name} leads beyond this machine, to {host}: if you mean it, say --allow-host {host}"
        )
    free = iter(range(first_port or 0, _LAST_PORT + 1))
    found: list[Link] = []
    for link in links:
        if link.upstream is None:
            raise UsageError(
                f"{target}: nobody says where {link.callee} listens: give {link.name} an upstream, "
                f"or name {link.callee} under system: upstreams:"
            )
        listen = link.listen
        if listen is None and first_port is not None:
            listen = f"127.0.0.1:{_next(free, first_port)}"
        if listen is None or listen.endswith(":0"):
            raise UsageError(
                f"{target}: {link.name} has no fixed listener: give it `listen` in its link map, or say --ports 21100"
            )
        found.append(msgspec.structs.replace(link, listen=listen))
    return tuple(found)


def _next(free: Iterator[int], first_port: int) -> int:
    port = next(free, None)
    if port is None:
        raise UsageError(
            f"from {first_port} on there are not enough ports for these links: say a lower --ports, such as 21100"
        )
    return port


def _links(target: str) -> Sequence[Link]:
    path = find_scenario(target)
    try:
        is_scenario = _TIMELINE.search(path.read_bytes()) is not None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    return load_plan(str(path)).links if is_scenario else read_map(path).links


def refuse_taken(links: Sequence[Link], target: str, *, api: str) -> None:
    """Say which of the links, and the proxy's API, cannot listen, before anything is started. Raises NotReadyError with all of them."""
    wanted = [*((link.name, link.listen or "") for link in links), ("the proxy's API (--port)", api)]
    taken = [f"{name} on {listen} ({why})" for name, listen in wanted if (why := _why_taken(listen))]
    if taken:
        raise NotReadyError(
            f"{target}: no listener can be had for {', '.join(taken)}: end what listens there, such as another "
            "`chaos-drill attach`, or give another address; nothing was started"
        )


def _why_taken(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if not host or host == "unix" or not port.isdecimal():
        return ""  # for the proxy to say
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except socket.gaierror:
        return ""
    except OSError as error:
        return os.strerror(error.errno or 0).lower()
    return ""


def proxy_config(links: Sequence[Link]) -> bytes:
    """The links as a config file of the proxy."""
    return json.dumps(
        [
            {
                "name": link.name,
                "listen": link.listen,
                "upstream": link.upstream,
                "protocol": link.protocol.value if link.tls is Tls.NONE else "tcp",
                "enabled": True,
            }
            for link in links
        ],
        indent=1,
    ).encode()


@contextmanager
def written_config(config: bytes) -> Iterator[Path]:
    """The config in a file for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="chaos-attach-") as folder:
        path = Path(folder) / "links.json"
        path.write_bytes(config)
        yield path
