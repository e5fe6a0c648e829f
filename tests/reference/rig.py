"""The reference backend as real processes, each link through a small TCP relay that can refuse, hang, cut and overhear."""

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
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import msgspec
import nats

from chaos.system import NatsServer, PostgresServer, reserve_port

T = TypeVar("T")

LINKS = {
    "gateway": {"provider": "PROVIDER_URL", "nats": "NATS_URL"},
    "rag": {"gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"},
    "agent": {"rag": "RAG_URL", "gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"},
    "api": {"agent": "AGENT_URL", "rag": "RAG_URL"},
    "provider": {},
}
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")
START_DEADLINE_S = 60


class Relay:
    """One link: bytes both ways. `mode` is pass, refuse (port closed), hang (bytes swallowed) or mute (no answers)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: tuple[str, int]) -> None:
        self._loop = loop
        self._target = target
        self._hold = reserve_port()
        self.address = self._hold.address
        self.mode = "pass"
        self.sent = bytearray()
        self.received = bytearray()
        self._server: asyncio.Server | None = None
        self._canned = b""
        self._closed = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.call(self._listen())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the relay's loop from the test's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def fault(self, mode: str) -> None:
        """Change the mode; `refuse` resets live connections as well."""
        self.mode = mode
        if mode == "refuse":
            self.call(self._refuse())

    def answer(self, status: int, body: bytes = b"", content_type: str = "text/plain", **headers: str) -> None:
        """Answer every request on new connections with this instead of passing it on."""
        lines = [f"HTTP/1.1 {status} Canned", f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._canned = "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body
        self.mode = "answer"
        self.cut()

    def heal(self) -> None:
        """Back to passing; connections that lost bytes are reset."""
        if self.mode == "refuse":
            self.mode = "pass"
        elif self.mode != "pass":
            self.mode = "pass"
            self.cut()
        self.call(self._listen())
        self.sent.clear()
        self.received.clear()

    def cut(self) -> None:
        """Reset every live connection."""
        self.call(self._cut())

    def watch_close(self) -> threading.Event:
        """An event that is set when the caller closes the next connection it opens or uses."""
        self._closed = threading.Event()
        return self._closed

    def requests(self) -> list[dict[str, str]]:
        """Headers of the HTTP requests the caller has sent on this link, by lower-case name."""
        heads = re.findall(rb"(?:POST|GET) \S+ HTTP/1\.1\r\n(.*?)\r\n\r\n", bytes(self.sent), re.DOTALL)
        return [
            {name.lower(): value for name, value in (line.split(": ", 1) for line in head.decode().split("\r\n"))}
            for head in heads
        ]

    async def close(self) -> None:
        await self._refuse()
        self._hold.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, *self.address, reuse_address=True)

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._cut()

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self.mode == "answer":
                await self._answer(reader, writer)
            else:
                await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            self.sent += head + await reader.readexactly(int(length[1]) if length else 0)
            writer.write(self._canned)
            await writer.drain()
        writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(upstream_writer)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump_requests(reader, upstream_writer))
                group.create_task(self._pump(upstream_reader, writer, self.received, swallow={"hang", "mute"}))
        except* OSError:
            pass
        finally:
            self._writers.discard(upstream_writer)
            upstream_writer.transport.abort()
            writer.transport.abort()

    async def _pump_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pump(reader, writer, self.sent, swallow={"hang"})
        except ConnectionResetError:
            self._closed.set()
            raise

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray, swallow: set[str]
    ) -> None:
        while data := await reader.read(65536):
            record += data
            if self.mode not in swallow:
                writer.write(data)
                await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        # One direction is at its end: a process that died or closed ends the other one, too.
        raise ConnectionResetError


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

    def __init__(self, budget_ms: int = 5000) -> None:
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


Post = Callable[["Backend", str, str, bytes | dict[str, Any], Op], Coroutine[Any, Any, httpx.Response]]
