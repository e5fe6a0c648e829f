"""The data of every message the services exchange, checked when decoded."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from chaos.reference.openai import ChatMessage, Usage

__all__ = [
    "Answer",
    "ChatRequest",
    "ChatResponse",
    "Document",
    "DocumentIngested",
    "Passage",
    "Question",
    "QueuedTask",
    "SearchQuery",
    "SearchResult",
    "Source",
    "Task",
    "TaskResult",
    "ToolUse",
]

Tenant = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# Postgres stores every character but NUL.
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Meta(min_length=1, max_length=50_000, pattern=r"^[^\x00]*$")]
# An op id ends a NATS subject: tokens without blanks and wildcards.
OpId = Annotated[str, Meta(pattern=r"^[^\s.*>]+(\.[^\s.*>]+)*$", max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=20)]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`document.ingest`: a text to be found again."""

    tenant: Tenant
    doc_id: Name
    title: Name
    text: Text


class DocumentIngested(msgspec.Struct, frozen=True, kw_only=True):
    """`document.ingested`: the answer, and the announcement on NATS."""

    doc_id: str
    chunks: int
    dimension: int


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`question`: to be answered from the tenant's documents."""

    tenant: Tenant
    question: Text


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A document an answer rests on; score is the cosine similarity."""

    doc_id: str
    title: str
    score: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`answer`: text with its sources."""

    text: str
    sources: list[Source]
    tenant: str
    model: str
    usage: Usage


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`search.query`: the tool `search_documents` of the agent."""

    tenant: Tenant
    query: Text
    limit: Limit = 3


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A document found, with its text."""

    doc_id: str
    title: str
    score: float
    text: str

    def source(self) -> Source:
        """The passage without its text."""
        return Source(doc_id=self.doc_id, title=self.title, score=self.score)


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """`search.result`: the best documents, best first."""

    passages: list[Passage]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`task` over HTTP: work for the agent."""

    tenant: Tenant
    task: Text
    query: Text


class QueuedTask(Task, frozen=True, kw_only=True):
    """`task` on the queue: the op id makes redelivery harmless and names the subject of the result."""

    op_id: OpId


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the agent called, and whether it gave a result."""

    name: str
    ok: bool


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """`task.result`: what became of a task."""

    task_id: str
    text: str
    tools: list[ToolUse]
    sources: list[Source]
    tenant: str
    degraded: bool = False


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`chat.request` on NATS."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=100)]
    model: Name = "ref-chat"


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    """`chat.response` on NATS."""

    text: str
    usage: Usage
    model: str
