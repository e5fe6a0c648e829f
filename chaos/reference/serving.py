"""The runner of a service process: its background work, its server, and a stop that ends in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvicorn

from chaos.reference import lag, telemetry
from chaos.reference.front import Front, Service
from chaos.reference.settings import Settings

__all__ = ["background", "serve"]

log = logging.getLogger(__name__)

_GRACE_S = 1  # for requests in flight at SIGTERM; two seconds are all a service has
_EXIT_S = 1.8

OpenService = Callable[[Settings], AbstractAsyncContextManager[Service]]


@asynccontextmanager
async def background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside the block and cancel them at its end; one that fails ends the service, loudly."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which re-raises the signal after a clean stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(settings: Settings, open_service: OpenService) -> None:
    """Run a service until SIGTERM or SIGINT."""
    with telemetry.exporting(settings.service, settings.otlp_endpoint):
        async with open_service(settings) as service, background(lag.watch()):
            server = _Server(
                uvicorn.Config(
                    Front(service),
                    host=settings.listen_host,
                    port=settings.listen_port,
                    http="h11",
                    ws="none",
                    loop="asyncio",
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    timeout_keep_alive=30,  # longer than the callers keep idle connections
                    timeout_graceful_shutdown=_GRACE_S,
                )
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _stop, server, loop)
            await server.serve()


def _stop(server: uvicorn.Server, loop: asyncio.AbstractEventLoop) -> None:
    log.info("stopping")
    server.should_exit = True
    # Whatever still hangs then, the process ends in time.
    loop.call_later(_EXIT_S, _leave)


def _leave() -> None:
    log.warning("something still hangs: leaving it behind")
    os._exit(0)
