"""The agent's routes and its queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaos.reference import envelope, problems
from chaos.reference.agent.consumer import TaskConsumer
from chaos.reference.agent.store import TABLES, Store
from chaos.reference.agent.work import Worker
from chaos.reference.bodies import idempotency_key, read
from chaos.reference.bus import Bus
from chaos.reference.database import Database
from chaos.reference.front import Service
from chaos.reference.httpcall import Callee, open_client
from chaos.reference.messages import Task
from chaos.reference.outbox import Outbox
from chaos.reference.serving import background
from chaos.reference.settings import Settings

__all__ = ["open_service"]


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The agent needs Postgres and NATS to be ready; gateway and rag may come and go."""
    settings.need("gateway_url", "rag_url", "postgres_dsn", "nats_url")
    async with open_client(settings.gateway_url, settings.rag_url) as client:
        gateway = Callee(client, "gateway", settings.gateway_url, settings)
        rag = Callee(client, "rag", settings.rag_url, settings)
        database = Database(settings, TABLES)
        bus = Bus(settings)
        outbox = Outbox("agent", database, bus)
        store = Store(database, outbox)
        worker = Worker(gateway, rag, store)
        consumer = TaskConsumer(settings, worker, store)
        connections = (database.keep_open(), bus.keep_connected(consumer.prepare))
        waits = {"postgres": database.ready, "nats": bus.ready}
        # What uses the connections is stopped before they are closed.
        async with background(*connections), background(outbox.relay(), consumer.run(bus)):
            yield Service(
                routes=[Route("/v1/tasks", _Tasks(worker).perform, methods=["POST"])],
                missing=lambda: [name for name, ready in waits.items() if not ready.is_set()],
            )


class _Tasks:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def perform(self, request: Request) -> Response:
        """`task` -> `task.result`; the same key again gives the same answer."""
        key = idempotency_key(request)
        task = await read(request, "task", Task)
        finished = await self._worker.perform(key, task)
        if finished.outcome != "task.result":
            # The key belongs to a queued task that ended with a problem.
            raise problems.Problem(envelope.decode(finished.answer, "problem", problems.ProblemDetails))
        return Response(finished.answer, media_type="application/json")
