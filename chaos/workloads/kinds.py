"""The workloads of the reference system as data: operations, the links each may use, deadlines, weights, effects."""

from __future__ import annotations

from chaos.model.workload import OperationKind, WorkloadKind

__all__ = ["REFERENCE_WORKLOADS"]

_MODEL = ("gateway>provider",)
_RETRIEVAL = ("rag>gateway", *_MODEL, "rag>postgres")
_AGENT = ("agent>gateway", "agent>rag", *_RETRIEVAL, "agent>postgres")

_AGENT_KIND = WorkloadKind(
    name="agent",
    about="agent tasks: the model chooses a tool, the tool searches, the model answers, memory is stored",
    operations=(
        OperationKind(
            name="run",
            about="a task over HTTP, answered in the same request",
            route=("driver>api", "api>agent", *_AGENT),
            writes=True,
            effects=("task", "memory"),
        ),
        OperationKind(
            name="task",
            about="a task on the JetStream work queue; the published result is its answer",
            route=("driver>nats", "agent>nats", *_AGENT),
            writes=True,
            effects=("task", "memory", "result"),
            completion="result",
            asynchronous=True,
            deadline_ms=10_000.0,
        ),
    ),
)

_RAG_KIND = WorkloadKind(
    name="rag",
    about="documents in, questions answered from them with sources",
    operations=(
        OperationKind(
            name="ask",
            about="a question over a document known to be stored",
            route=("driver>api", "api>rag", *_RETRIEVAL),
            weight=3,
        ),
        OperationKind(
            name="ingest",
            about="a document: chunked, embedded, stored, announced on NATS by outbox",
            route=("driver>api", "api>rag", *_RETRIEVAL, "rag>nats"),
            writes=True,
            effects=("document", "announcement"),
        ),
    ),
)

_GATEWAY_KIND = WorkloadKind(
    name="gateway",
    about="model calls straight at the LLM gateway",
    operations=(
        OperationKind(
            name="chat",
            about="one chat completion over HTTP",
            route=("driver>gateway", *_MODEL),
            weight=2,
        ),
        OperationKind(
            name="stream",
            about="a streamed chat completion over HTTP, ended by its terminal marker",
            route=("driver>gateway", *_MODEL),
            streams=True,
        ),
        OperationKind(
            name="queued",
            about="a chat request and its reply over NATS",
            route=("driver>nats", "gateway>nats", *_MODEL),
        ),
    ),
)

REFERENCE_WORKLOADS: tuple[WorkloadKind, ...] = (_AGENT_KIND, _RAG_KIND, _GATEWAY_KIND)
