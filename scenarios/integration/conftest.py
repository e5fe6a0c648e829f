"""One system for the whole suite, on a loop of its own: it outlives the loops of single tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from scenarios.integration.rig import Operation, System, open_system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The reference backend on real Postgres and NATS, every link through the fault proxy."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = open_system(tmp_path_factory.mktemp("suite"))
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(120)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def op() -> Operation:
    """One operation, with a tenant of its own."""
    return Operation()
