"""The system the suite runs against: real Postgres, NATS and services, every link through the fault proxy.

Faults are set by the plain Toxiproxy API, so that the same tests can drive a Toxiproxy server.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import hmac
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import msgspec
import nats
from nats.aio.client import Client

from chaos.system import (
    DRIVER_LINKS,
    REFERENCE_LINKS,
    REFERENCE_SERVICES,
    Address,
    HttpReady,
    LocalSystem,
    ServiceSpec,
    make_scratch,
    open_children,
    reserve_port,
)
from chaos.system.services import start_service

__all__ = ["Operation", "System", "envelope", "open_system"]

_FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"type": "timeout", "attributes": {"timeout": 0}},
    "slow": {"type": "latency", "attributes": {"latency": 150}},
}


class Operation:
    """One operation: its id, its trace, a nonce, and the headers that carry them."""

    def __init__(self, *, budget_ms: int = 15_000) -> None:
        self.id = f"op-{secrets.token_hex(6)}"
        self.nonce = f"nonce-{secrets.token_hex(8)}"
        self.trace_id = secrets.token_hex(16)
        self.tenant = f"tenant-{secrets.token_hex(4)}"
        self.budget_ms = budget_ms

    @property
    def headers(self) -> dict[str, str]:
        """For HTTP, and for requests over NATS."""
        return {
            "traceparent": f"00-{self.trace_id}-{secrets.token_hex(8)}-01",
            "baggage": f"op.id={self.id}",
            "X-Budget-Ms": str(self.budget_ms),
            "Idempotency-Key": self.id,
        }

    @property
    def queue_headers(self) -> dict[str, str]:
        """For a message that waits in a queue."""
        deadline_ms = int(time.time() * 1000) + self.budget_ms
        return {**self.headers, "X-Deadline-Unix-Ms": str(deadline_ms), "Nats-Msg-Id": self.id}


def envelope(message_type: str, /, *, schema_version: int = 1, **data: object) -> bytes:
    """An encoded message."""
    return msgspec.json.encode({"schema_version": schema_version, "message_type": message_type, "data": data})


class System:
    """What a test may do: call services, use NATS and Postgres, set faults on links."""

    def __init__(self, local: LocalSystem, proxy: Address, listeners: Mapping[str, Address]) -> None:
        self._settings = local.driver_settings
        self._postgres_dsn = local.postgres.dsn.reveal()
        self._nats_url = local.nats.url_through(listeners["driver>nats"]).reveal()
        self._addresses = local.reserve() | {link.partition(">")[2]: listeners[link] for link in DRIVER_LINKS}
        self._proxy = f"http://{proxy}"
        self.namespace = self._settings.namespace

    def digest(self, nonce: str) -> str:
        """What only somebody who has shown the nonce to the provider can know."""
        key = self._settings.digest_key.reveal().encode()
        return "digest-" + hmac.new(key, nonce.encode(), hashlib.sha256).hexdigest()[:16]

    async def post(self, service: str, path: str, body: bytes | dict[str, Any], op: Operation) -> httpx.Response:
        """POST as an operation; through the driver's link where there is one."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return await client.post(f"http://{self._addresses[service]}{path}", content=content, headers=op.headers)

    async def ingest(self, op: Operation, doc_id: str, text: str) -> httpx.Response:
        """Store a document of the operation's tenant through the api."""
        body = envelope("document.ingest", tenant=op.tenant, doc_id=doc_id, title=f"About {doc_id}", text=text)
        return await self.post("api", "/v1/documents", body, op)

    @asynccontextmanager
    async def nats(self) -> AsyncIterator[Client]:
        """A client of NATS, through the driver's link."""
        client = await nats.connect(self._nats_url)
        try:
            yield client
        finally:
            await client.close()

    async def queued_task(self, client: Client, op: Operation, query: str) -> dict[str, Any]:
        """Queue a task and wait for its result or problem."""
        results = await client.subscribe(f"{self.namespace}.results.{op.id}")
        await client.flush()
        task = envelope("task", tenant=op.tenant, task=f"report {op.nonce}", query=query, op_id=op.id)
        await client.jetstream().publish(f"{self.namespace}.tasks.{op.tenant}", task, headers=op.queue_headers)
        message = await results.next_msg(timeout=60)
        await results.unsubscribe()
        answer: dict[str, Any] = msgspec.json.decode(message.data)
        return answer

    async def rows(self, sql: str, *arguments: object) -> list[Any]:
        """Read back from the store itself, past all links."""
        connection = await asyncpg.connect(self._postgres_dsn, server_settings={"search_path": self.namespace})
        try:
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows
        finally:
            await connection.close()

    @contextmanager
    def fault(self, kind: str, link: str) -> Iterator[None]:
        """A fault on a link for the length of a block: `refuse`, `hang` or `slow`."""
        path = f"{self._proxy}/proxies/{quote(link, safe='')}"
        with httpx.Client(trust_env=False, timeout=10) as api:
            try:
                if kind == "refuse":
                    api.post(path, json={"enabled": False}).raise_for_status()
                else:
                    toxic = {"name": "test", "stream": "downstream", **_FAULTS[kind]}
                    api.post(f"{path}/toxics", json=toxic).raise_for_status()
                yield
            finally:
                if kind == "refuse":
                    api.post(path, json={"enabled": True}).raise_for_status()
                else:
                    api.delete(f"{path}/toxics/test").raise_for_status()


@asynccontextmanager
async def open_system(logs: Path) -> AsyncIterator[System]:
    """Bring everything up, links first; at the end nothing is left."""
    async with open_children(make_scratch("suite"), logs) as children:
        with reserve_port() as hold, LocalSystem(children, logs, namespace="suite", services=_patient()) as local:
            argv = (sys.executable, "-m", "chaos.proxy", "-host", hold.address.host, "-port", str(hold.address.port))
            spec = ServiceSpec(name="proxy", argv=argv, ready=HttpReady(path="/version"))
            await start_service(children, spec, hold, {}, logs / "proxy.log")
            listeners = await _create_links(hold.address, local.reserve())
            await local.start(listeners)
            yield System(local, hold.address, listeners)


def _patient() -> tuple[ServiceSpec, ...]:
    """The services with generous timeouts: on a busy machine only budgets that a test sets on purpose may run out."""
    timeouts = {"CALL_TIMEOUT_MS": "20000", "DB_TIMEOUT_MS": "10000", "NATS_TIMEOUT_MS": "10000"}
    return tuple(dataclasses.replace(service, env={**service.env, **timeouts}) for service in REFERENCE_SERVICES)


async def _create_links(proxy: Address, upstreams: Mapping[str, Address]) -> dict[str, Address]:
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{proxy}", timeout=10) as api:

        async def create(link: str) -> tuple[str, Address]:
            upstream = str(upstreams[link.partition(">")[2]])
            asked = {"name": link, "listen": "127.0.0.1:0", "upstream": upstream}
            answer = await api.post("/proxies", json=asked)
            host, port = answer.raise_for_status().json()["listen"].rsplit(":", 1)
            return link, Address(host, int(port))

        return dict(await asyncio.gather(*map(create, REFERENCE_LINKS)))
