"""The rag service's routes: ingest a document, search, and answer a question from what was found."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from nats.js.api import RetentionPolicy
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaos.reference.bodies import idempotency_key, read, reply
from chaos.reference.bus import Bus, stream_config
from chaos.reference.database import Database
from chaos.reference.front import Service
from chaos.reference.httpcall import Callee, open_client
from chaos.reference.messages import Answer, Document, Passage, Question, SearchQuery, SearchResult
from chaos.reference.openai import Usage
from chaos.reference.outbox import Outbox
from chaos.reference.problems import Problem
from chaos.reference.rag.models import Models
from chaos.reference.rag.store import TABLES, Store
from chaos.reference.serving import background
from chaos.reference.settings import Settings

__all__ = ["open_service", "split_text"]

_CHUNK_WORDS = 120
_SOURCES = 3


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The rag service needs Postgres and NATS to be ready; the gateway may come and go."""
    settings.need("gateway_url", "postgres_dsn", "nats_url")

    async def make_stream(bus: Bus) -> None:
        name, subjects = f"{settings.namespace.upper()}_DOCUMENTS", f"{settings.namespace}.documents.>"
        await bus.jetstream.add_stream(stream_config(name, subjects, RetentionPolicy.LIMITS))

    database, bus = Database(settings, TABLES), Bus(settings)
    outbox = Outbox("rag", database, bus)
    async with open_client(settings.gateway_url) as client:
        models = Models(Callee(client, "gateway", settings.gateway_url, settings))
        rag = _Rag(settings, models, Store(settings, database, outbox))
        connections = (database.keep_open(), bus.keep_connected(make_stream))
        async with background(*connections), background(outbox.relay()):
            waits = {"postgres": database.ready, "nats": bus.ready}
            yield Service(
                routes=[
                    Route("/v1/documents", rag.ingest, methods=["POST"]),
                    Route("/v1/search", rag.search, methods=["POST"]),
                    Route("/v1/query", rag.query, methods=["POST"]),
                ],
                missing=lambda: [name for name, ready in waits.items() if not ready.is_set()],
            )


class _Rag:
    def __init__(self, settings: Settings, models: Models, store: Store) -> None:
        self._defects = settings.defects
        self._models = models
        self._store = store
        self._latest: Answer | None = None  # whoever it was for: what the defect serves from

    async def ingest(self, request: Request) -> Response:
        """`document.ingest` -> 201 `document.ingested`; the same key again gives the same answer."""
        key = idempotency_key(request)
        document = await read(request, "document.ingest", Document)
        request_hash = hashlib.sha256(msgspec.json.encode(document)).digest()
        answer = await self._store.earlier_answer(key, request_hash)
        if answer is None:
            chunks = split_text(document.text)
            vectors = await self._models.embed(chunks)
            answer = await self._store.add(key, request_hash, document, chunks, vectors)
        if answer is None:  # the same key was stored between our look and our write
            answer = await self._store.earlier_answer(key, request_hash)
            assert answer is not None
        return reply("document.ingested", answer, status=201)

    async def search(self, request: Request) -> Response:
        """`search.query` -> `search.result`."""
        wanted = await read(request, "search.query", SearchQuery)
        try:
            passages = await self._find(wanted.tenant, wanted.query, wanted.limit)
        except Problem:
            if self._defects.on("swallowed-error"):
                return reply("search.result", SearchResult(passages=[]))
            raise
        return reply("search.result", SearchResult(passages=passages))

    async def query(self, request: Request) -> Response:
        """`question` -> `answer`, generated from the best documents."""
        question = await read(request, "question", Question)
        try:
            answer = await self._answer(question)
        except Problem:
            if self._defects.on("swallowed-error"):
                return reply("answer", _canned(question))
            if self._defects.on("other-tenant-answer") and self._latest is not None:
                return reply("answer", self._latest)
            raise
        self._latest = answer
        return reply("answer", answer)

    async def _answer(self, question: Question) -> Answer:
        passages = await self._find(question.tenant, question.question, _SOURCES)
        generated = await self._models.generate(question.question, passages)
        return Answer(
            text=generated.choices[0].message.content or "",
            sources=[passage.source() for passage in passages],
            tenant=question.tenant,
            model=generated.model,
            usage=generated.usage,
        )

    async def _find(self, tenant: str, query: str, limit: int) -> list[Passage]:
        [vector] = await self._models.embed([query])
        return await self._store.search(tenant, vector, limit)


def split_text(text: str) -> list[str]:
    """The text in pieces of so many words; a blank text is one empty piece."""
    words = text.split()
    return [" ".join(words[start : start + _CHUNK_WORDS]) for start in range(0, len(words), _CHUNK_WORDS)] or [""]


def _canned(question: Question) -> Answer:
    text = "Thank you for your question. No further information is available at the moment."
    return Answer(text=text, sources=[], tenant=question.tenant, model="ref-chat", usage=Usage())
