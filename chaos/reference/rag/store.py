"""Documents and their chunks in Postgres with pgvector; every row carries the id of the operation that wrote it."""

from __future__ import annotations

import logging

import asyncpg
import msgspec

from chaos.reference import envelope, problems, telemetry
from chaos.reference.database import Database, worth_another
from chaos.reference.messages import Document, DocumentIngested, Passage
from chaos.reference.outbox import Outbox
from chaos.reference.problems import Problem
from chaos.reference.settings import Settings

__all__ = ["DIMENSION", "TABLES", "Store"]

log = logging.getLogger(__name__)

DIMENSION = 64

TABLES = f"""
    CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
    CREATE TABLE IF NOT EXISTS documents (
        idempotency_key text PRIMARY KEY,
        op_id text NOT NULL,
        tenant text NOT NULL,
        doc_id text NOT NULL,
        title text NOT NULL,
        request_hash bytea NOT NULL,
        answer bytea NOT NULL,
        UNIQUE (tenant, doc_id)
    );
    CREATE TABLE IF NOT EXISTS chunks (
        tenant text NOT NULL,
        doc_id text NOT NULL,
        position integer NOT NULL,
        op_id text NOT NULL,
        text text NOT NULL,
        embedding vector({DIMENSION}) NOT NULL,
        PRIMARY KEY (tenant, doc_id, position)
    );
    {Outbox.table("rag")}
"""

_FIND = "SELECT request_hash, answer FROM documents WHERE idempotency_key = $1"

# One statement, one round trip: document, chunks and announcement, or nothing of them if the key is known.
_ADD = """
    WITH added AS (
        INSERT INTO documents (idempotency_key, op_id, tenant, doc_id, title, request_hash, answer)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (idempotency_key) DO NOTHING
        RETURNING op_id, tenant, doc_id
    ), parts AS (
        INSERT INTO chunks (tenant, doc_id, position, op_id, text, embedding)
        SELECT tenant, doc_id, chunk.position, op_id, chunk.text, chunk.embedding::vector
        FROM added, unnest($8::integer[], $9::text[], $10::text[]) AS chunk (position, text, embedding)
    ), announced AS (
        INSERT INTO rag_outbox (op_id, subject, message_id, headers, payload)
        SELECT op_id, $11::text, $12::text, $13::bytea, $14::bytea FROM added
    )
    SELECT count(*) FROM added
"""

# The best chunk ranks its document; the model is shown the whole document.
_SEARCH = """
    WITH best AS (
        SELECT doc_id, min(embedding <=> $2::text::vector) AS distance
        FROM chunks WHERE tenant = $1
        GROUP BY doc_id ORDER BY distance, doc_id LIMIT $3
    )
    SELECT doc_id, documents.title, best.distance, string_agg(chunks.text, ' ' ORDER BY position) AS text
    FROM best JOIN documents USING (doc_id) JOIN chunks USING (tenant, doc_id)
    WHERE documents.tenant = $1
    GROUP BY doc_id, documents.title, best.distance
    ORDER BY best.distance, doc_id
"""


class Store:
    """The documents of all tenants."""

    def __init__(self, settings: Settings, database: Database, outbox: Outbox) -> None:
        self._subject = f"{settings.namespace}.documents.ingested"
        self._defects = settings.defects
        self._database = database
        self._outbox = outbox

    async def earlier_answer(self, key: str, request_hash: bytes) -> DocumentIngested | None:
        """The answer already given under this key; raises Problem 409 if that was to another request."""
        rows = await self._database.fetch("SELECT documents", _FIND, key)
        if not rows:
            return None
        if rows[0]["request_hash"] != request_hash:
            raise problems.conflict("this Idempotency-Key was used for another document")
        return msgspec.json.decode(rows[0]["answer"], type=DocumentIngested)

    async def add(
        self, key: str, request_hash: bytes, document: Document, chunks: list[str], vectors: list[list[float]]
    ) -> DocumentIngested | None:
        """Store a document, its chunks and its announcement together; None if it is stored already.

        Written once more when the connection breaks or a race is lost. Perhaps only the reply to COMMIT was lost: then
        the key is known.
        """
        answer = DocumentIngested(doc_id=document.doc_id, chunks=len(chunks), dimension=DIMENSION)
        try:
            added = await self._write(key, request_hash, document, answer, chunks, vectors)
        except Problem as problem:
            if not worth_another(problem):
                raise
            log.info("a document is written again: %s", problem)
            if self._defects.on("duplicate-effect-on-retry"):
                key, document = f"{key}-again", msgspec.structs.replace(document, doc_id=f"{document.doc_id}-again")
            added = await self._write(key, request_hash, document, answer, chunks, vectors)
        finally:
            self._outbox.nudge()
        return answer if added else None

    async def _write(
        self,
        key: str,
        request_hash: bytes,
        document: Document,
        answer: DocumentIngested,
        chunks: list[str],
        vectors: list[list[float]],
    ) -> bool:
        row = (
            *(key, telemetry.op_id(), document.tenant, document.doc_id, document.title, request_hash),
            msgspec.json.encode(answer),
        )
        parts = (list(range(len(chunks))), chunks, [_vector(vector) for vector in vectors])
        message = self._outbox.entry(self._subject, key, envelope.encode("document.ingested", answer))
        async with self._database.transaction("INSERT documents") as connection:
            try:
                return bool(await connection.fetchval(_ADD, *row, *parts, *msgspec.structs.astuple(message)))
            except asyncpg.UniqueViolationError as error:
                raise problems.conflict("the tenant has another document with this doc_id") from error

    async def search(self, tenant: str, vector: list[float], limit: int) -> list[Passage]:
        """The tenant's documents nearest to the vector, best first."""
        rows = await self._database.fetch("SELECT chunks", _SEARCH, tenant, _vector(vector), limit)
        return [
            Passage(doc_id=row["doc_id"], title=row["title"], score=1 - row["distance"], text=row["text"])
            for row in rows
        ]


def _vector(values: list[float]) -> str:
    return msgspec.json.encode(values).decode()
