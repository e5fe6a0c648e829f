"""Backends for the tests of the reference services: one shared, others on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from chaos.system import NatsServer, PostgresServer
from tests.reference.rig import Backend, Defective, Op, Post


@pytest.fixture(scope="session")
def relay_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread for the relays: they outlive the loops of single tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="session")
def make_backend(
    postgres_server: PostgresServer,
    nats_server: NatsServer,
    tmp_path_factory: pytest.TempPathFactory,
    relay_loop: asyncio.AbstractEventLoop,
) -> Iterator[Callable[[], Backend]]:
    """Backends that are not started yet; all are closed at the end."""
    made: list[Backend] = []

    def make() -> Backend:
        made.append(Backend(postgres_server, nats_server, tmp_path_factory.mktemp("backend"), relay_loop))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.fixture(scope="session")
def shared_backend(make_backend: Callable[[], Backend]) -> Backend:
    """The correct backend, started once; a file may have one of its own by this name."""
    backend = make_backend()
    backend.start()
    return backend


@pytest.fixture
def backend(shared_backend: Backend) -> Iterator[Backend]:
    """The shared backend with all links healed before and after."""
    shared_backend.heal()
    yield shared_backend
    shared_backend.heal()


@pytest.fixture
def defective(make_backend: Callable[[], Backend]) -> Iterator[Defective]:
    """Backends with one defect each."""
    started: list[Backend] = []

    def start(defect: str, *names: str, **extra: str) -> Backend:
        started.append(make_backend())
        started[-1].start(*names, CHAOS_DEFECTS=defect, **extra)
        return started[-1]

    yield start
    for backend in started:
        for service in backend.services.values():
            service.end()


@pytest.fixture
def op() -> Op:
    """One operation."""
    return Op()


@pytest.fixture
def post() -> Post:
    """POST an envelope (or a plain dict) as an operation."""

    async def send(backend: Backend, service: str, path: str, body: bytes | dict[str, Any], op: Op) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return await client.post(backend.url(service) + path, content=content, headers=op.headers)

    return send
