"""Real servers for everybody's tests: one Postgres and one NATS per test process, started when first asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from chaos.system import (
    NatsServer,
    PostgresServer,
    make_scratch,
    open_children,
    reserve_port,
    start_nats,
    start_postgres,
)

T = TypeVar("T")

# A machine busy with something else is no finding: no example has a deadline, and none is generated too slowly.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")


@contextmanager
def _hosted(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Keep an async context open on a loop of its own in a thread: independent of the loops of single tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = make()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(120)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real Postgres 18 with pgvector; make a schema of your own in it. Do not stop it: it is shared."""
    logs: Path = tmp_path_factory.mktemp("postgres")

    @asynccontextmanager
    async def rig() -> AsyncIterator[PostgresServer]:
        with reserve_port() as hold:
            async with open_children(make_scratch("tests"), logs) as children:
                yield await start_postgres(children, hold, logs / "postgres.log")

    with _hosted(rig) as server:
        yield server


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A real nats-server with JetStream; use subjects and streams of your own. Do not stop it: it is shared."""
    logs: Path = tmp_path_factory.mktemp("nats")

    @asynccontextmanager
    async def rig() -> AsyncIterator[NatsServer]:
        with reserve_port() as hold, reserve_port() as monitor:
            async with open_children(make_scratch("tests"), logs) as children:
                yield await start_nats(children, hold, monitor, logs / "nats.log")

    with _hosted(rig) as server:
        yield server
