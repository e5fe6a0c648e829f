"""Kind `rag`: questions about seed documents, and documents to be stored."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chaos.model.operation import Unmet
from chaos.schedule import stream_rng
from chaos.workloads.answers import excerpt
from chaos.workloads.call import Call, Outcome
from chaos.workloads.checks import dimension
from chaos.workloads.corpus import SeedDocument, new_words
from chaos.workloads.envelope import pack
from chaos.workloads.http_door import HttpReply
from chaos.workloads.operations.doors import Doors
from chaos.workloads.operations.judging import judge_reply

__all__ = ["Source", "ask", "ingest", "post_document"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A document an answer rests on."""

    doc_id: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    sources: list[Source]
    tenant: str
    degraded: bool = False


class _Ingested(msgspec.Struct, frozen=True, kw_only=True):
    doc_id: str
    chunks: int
    dimension: int


async def ask(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/ask`: a question about a seed document, with a nonce of its own."""
    question = f"{' '.join(call.document.words)}? {call.nonce}"
    body = pack("question", {"tenant": call.tenant, "question": question})
    reply = await doors.http.post(call, doors.api("/v1/ask"), body)

    def check(answer: _Answer) -> Iterator[Unmet]:
        doc_ids = [source.doc_id for source in answer.sources]
        yield from doors.checks.tenant(call, answer.tenant, answer.text, doc_ids)
        if not answer.degraded:
            yield from doors.checks.input_digest(call, answer.text)
            yield from doors.checks.document_digest(call, answer.text)
            yield from doors.checks.sources(call, doc_ids)

    return judge_reply(reply, "answer", _Answer, check)


async def ingest(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/documents`: a document of its own, with words nobody asks for."""
    words = new_words(stream_rng(0, call.op_id, "words"), 8)
    document = SeedDocument(
        op_id=call.op_id,
        tenant=call.tenant,
        doc_id=f"doc-{call.op_id}",
        title=words[0].capitalize(),
        words=words,
        nonce=call.nonce,
    )
    return judge_ingested(await post_document(call, doors, document), document)


async def post_document(call: Call, doors: Doors, document: SeedDocument) -> HttpReply:
    """Send a document; its op id is the idempotency key, so sending it again is harmless."""
    data = {"tenant": document.tenant, "doc_id": document.doc_id, "title": document.title, "text": document.text}
    body = pack("document.ingest", data)
    return await doors.http.post(call, doors.api("/v1/documents"), body, headers={"Idempotency-Key": document.op_id})


def judge_ingested(reply: HttpReply, document: SeedDocument) -> Outcome:
    """The outcome of storing a document: it is named, it has chunks, and their vectors have the declared dimension."""

    def check(stored: _Ingested) -> Iterator[Unmet]:
        if stored.doc_id != document.doc_id:
            yield Unmet(check="document", expected=document.doc_id, seen=excerpt(stored.doc_id))
        if stored.chunks < 1:
            yield Unmet(check="chunks", expected="at least one chunk", seen=str(stored.chunks))
        yield from dimension(stored.dimension)

    return judge_reply(reply, "document.ingested", _Ingested, check)
