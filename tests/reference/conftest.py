"""Backends for the tests of the reference services: one shared, others on demand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from typing import Any

import httpx
import msgspec
import pytest

from chaos.system import NatsServer, PostgresServer
from tests.reference.rig import Backend, Defective, Op, OpenBackend, Post


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
def open_backend(
    postgres_server: PostgresServer,
    nats_server: NatsServer,
    tmp_path_factory: pytest.TempPathFactory,
    relay_loop: asyncio.AbstractEventLoop,
) -> OpenBackend:
    """Opens backends that are not started yet; nothing of one is left when its context ends."""

    def opened() -> AbstractContextManager[Backend]:
        return closing(Backend(postgres_server, nats_server, tmp_path_factory.mktemp("backend"), relay_loop))

    return opened


@pytest.fixture(scope="session")
def shared_backend(open_backend: OpenBackend) -> Iterator[Backend]:
    """The correct backend, started once; a file may have one of its own by this name."""
    with open_backend() as backend:
        backend.start()
        yield backend


@pytest.fixture
def backend(shared_backend: Backend) -> Iterator[Backend]:
    """The shared backend with all links healed before and after."""
    shared_backend.heal()
    yield shared_backend
    shared_backend.heal()


@pytest.fixture
def own(open_backend: OpenBackend) -> Iterator[Backend]:
    """A backend of the test's own, not started."""
    with open_backend() as backend:
        yield backend


@pytest.fixture
def defective(open_backend: OpenBackend) -> Iterator[Defective]:
    """Backends with one defect each."""
    with ExitStack() as stack:

        def start(defect: str, *names: str, **extra: str) -> Backend:
            backend = stack.enter_context(open_backend())
            backend.start(*names, CHAOS_DEFECTS=defect, **extra)
            return backend

        yield start


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
