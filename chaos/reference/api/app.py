"""The api's routes: questions, agent tasks and documents, for several tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaos.reference import envelope, problems
from chaos.reference.bodies import idempotency_key, read, reply
from chaos.reference.front import Service
from chaos.reference.httpcall import Callee, open_client
from chaos.reference.messages import Answer, Document, DocumentIngested, Question, Task, TaskResult
from chaos.reference.problems import Problem
from chaos.reference.settings import Settings

__all__ = ["open_service"]

Data = TypeVar("Data", bound=msgspec.Struct)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The api is ready at once; agent and rag may come and go."""
    settings.need("agent_url", "rag_url")
    async with open_client(settings.agent_url, settings.rag_url) as client:
        api = _Api(
            settings,
            agent=Callee(client, "agent", settings.agent_url, settings),
            rag=Callee(client, "rag", settings.rag_url, settings),
        )
        yield Service(
            routes=[
                Route("/v1/documents", api.documents, methods=["POST"]),
                Route("/v1/ask", api.ask, methods=["POST"]),
                Route("/v1/agent/tasks", api.tasks, methods=["POST"]),
            ]
        )


class _Api:
    def __init__(self, settings: Settings, *, agent: Callee, rag: Callee) -> None:
        self._defects = settings.defects
        self._agent = agent
        self._rag = rag

    async def documents(self, request: Request) -> Response:
        """`document.ingest` -> 201 `document.ingested`."""
        key = idempotency_key(request)
        body = envelope.encode("document.ingest", await read(request, "document.ingest", Document))
        answer = await self._ask(self._rag, "/v1/documents", body, "document.ingested", DocumentIngested, key=key)
        return reply("document.ingested", answer, status=201)

    async def ask(self, request: Request) -> Response:
        """`question` -> `answer`."""
        body = envelope.encode("question", await read(request, "question", Question))
        return reply("answer", await self._ask(self._rag, "/v1/query", body, "answer", Answer))

    async def tasks(self, request: Request) -> Response:
        """`task` -> `task.result`."""
        key = idempotency_key(request)
        body = envelope.encode("task", await read(request, "task", Task))
        return reply("task.result", await self._ask(self._agent, "/v1/tasks", body, "task.result", TaskResult, key=key))

    async def _ask(
        self, callee: Callee, path: str, body: bytes, message_type: str, answer: type[Data], *, key: str | None = None
    ) -> Data:
        try:
            return await callee.ask(path, body, message_type, answer, key=key)
        except Problem as problem:
            if problem.details.dependency is None:  # the caller's own mistake, noticed further down
                raise
            if self._defects.on("generic-500"):
                raise problems.internal("internal error") from problem
            if self._defects.on("wrong-blame"):
                raise problems.invalid_request("the request could not be processed") from problem
            raise
