"""The reference backend as real processes on real servers, each link of it through a relay."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import nats

from chaos.system import NatsServer, PostgresServer, reserve_port
from tests.reference.relay import Relay

LINKS = {
    "gateway": {"provider": "PROVIDER_URL", "nats": "NATS_URL"},
    "rag": {"gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"},
    "agent": {"rag": "RAG_URL", "gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"},
    "api": {"agent": "AGENT_URL", "rag": "RAG_URL"},
    "provider": {},
}
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")
START_DEADLINE_S = 60


class Service:
    """One process of the backend."""

    def __init__(self, name: str, env: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chaos.reference", name],
                env={"PATH": os.environ["PATH"], **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def stop(self) -> int:
        """SIGTERM and wait; the exit code."""
        self.process.terminate()
        return self.process.wait(15)

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(15)


class Backend:
    """The five services and their links."""

    def __init__(
        self, postgres: PostgresServer, nats_server: NatsServer, logs: Path, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.namespace = f"t{secrets.token_hex(4)}"
        self.digest_key = secrets.token_hex(16)
        self.api_key = secrets.token_hex(16)
        self.postgres = postgres
        self.nats_server = nats_server
        self.logs = logs
        self.links: dict[str, Relay] = {}
        self.services: dict[str, Service] = {}
        self._loop = loop
        self._holds = {name: reserve_port() for name in LINKS}
        for caller, callees in LINKS.items():
            for callee in callees:
                self.links[f"{caller}>{callee}"] = Relay(loop, self._target(callee))

    def __getitem__(self, link: str) -> Relay:
        return self.links[link]

    def url(self, service: str) -> str:
        return f"http://{self._holds[service].address}"

    def start(self, *names: str, **extra: str) -> None:
        """Start services (all by default) with more variables and wait until they are ready."""
        for name in names or LINKS:
            self.spawn(name, **extra)
        for name in names or LINKS:
            self.wait_ready(name)

    def spawn(self, name: str, **extra: str) -> None:
        """Start one service and do not wait for it."""
        self.services[name] = Service(name, self._environment(name) | extra, self.logs / f"{name}.log")

    async def health(self, name: str) -> httpx.Response:
        """The first answer to a health check."""
        async with httpx.AsyncClient(trust_env=False) as client:
            deadline = time.monotonic() + START_DEADLINE_S
            while True:
                try:
                    return await client.get(self.url(name) + "/healthz")
                except httpx.HTTPError:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.05)

    def wait_ready(self, name: str) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.services[name].process.poll() is None, self.services[name].log.read_text()
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url(name) + "/healthz", trust_env=False, timeout=5).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{name} is not ready: {self.services[name].log.read_text()}")

    def heal(self) -> None:
        for link in self.links.values():
            link.heal()

    def close(self) -> None:
        for service in self.services.values():
            service.end()
        for link in self.links.values():
            link.call(link.close())
        for hold in self._holds.values():
            hold.close()
        asyncio.run_coroutine_threadsafe(self._clean(), self._loop).result(30)

    async def _clean(self) -> None:
        connection = await asyncpg.connect(self.postgres.dsn.reveal())
        await connection.execute(f"DROP SCHEMA IF EXISTS {self.namespace} CASCADE")
        await connection.close()
        client = await nats.connect(self.nats_server.url.reveal())
        for stream in await client.jetstream().streams_info():
            if str(stream.config.name).startswith(self.namespace.upper()):
                await client.jetstream().delete_stream(str(stream.config.name))
        await client.close()

    def _target(self, callee: str) -> tuple[str, int]:
        if callee == "postgres":
            return self.postgres.address
        return self.nats_server.address if callee == "nats" else self._holds[callee].address

    def _environment(self, name: str) -> dict[str, str]:
        own = self._holds[name].address
        env = {"LISTEN_HOST": own.host, "LISTEN_PORT": str(own.port), "NAMESPACE": self.namespace}
        # Generous: on a busy machine only the budgets that a test sets on purpose may run out.
        env |= {"CALL_TIMEOUT_MS": "20000", "DB_TIMEOUT_MS": "10000", "NATS_TIMEOUT_MS": "10000"}
        if name in ("gateway", "provider"):
            env["PROVIDER_API_KEY"] = self.api_key
        if name == "provider":
            env["DIGEST_KEY"] = self.digest_key
        for callee, variable in LINKS[name].items():
            address = self.links[f"{name}>{callee}"].address
            if callee == "postgres":
                env[variable] = self.postgres.dsn_through(address).reveal()
            elif callee == "nats":
                env[variable] = self.nats_server.url_through(address).reveal()
            else:
                env[variable] = f"http://{address}"
        return env

    def digest(self, nonce: str) -> str:
        return "digest-" + hmac.new(self.digest_key.encode(), nonce.encode(), hashlib.sha256).hexdigest()[:16]


class Op:
    """One operation: its id, trace, nonce and headers."""

    def __init__(self, budget_ms: int = 15_000) -> None:
        self.id = f"op-{secrets.token_hex(6)}"
        self.nonce = f"nonce-{secrets.token_hex(8)}"
        self.trace_id = secrets.token_hex(16)
        self.span_id = secrets.token_hex(8)
        self.budget_ms = budget_ms

    @property
    def headers(self) -> dict[str, str]:
        return {
            "traceparent": f"00-{self.trace_id}-{self.span_id}-01",
            "baggage": f"op.id={self.id}",
            "X-Budget-Ms": str(self.budget_ms),
            "Idempotency-Key": self.id,
        }

    def queue_headers(self) -> dict[str, str]:
        deadline = {"X-Deadline-Unix-Ms": str(int(time.time() * 1000) + self.budget_ms)}
        return {**self.headers, **deadline, "Nats-Msg-Id": self.id}


def envelope(message_type: str, **data: object) -> bytes:
    """A message of ours."""
    return msgspec.json.encode({"schema_version": 1, "message_type": message_type, "data": data})


OpenBackend = Callable[[], AbstractContextManager["Backend"]]
"""A backend that is not started yet; nothing of it is left when the context ends."""
Defective = Callable[..., "Backend"]
"""Starts a backend with the named defect: all its services, or those named after it."""
Post = Callable[["Backend", str, str, bytes | dict[str, Any], Op], Coroutine[Any, Any, httpx.Response]]
