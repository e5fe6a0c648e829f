"""Kinds of operations the driver can send, one module per kind. A new kind is a module here and its lines in `RUNNERS`."""

from __future__ import annotations

from chaos.workloads.operations import agent, gateway, rag
from chaos.workloads.operations.doors import Doors, Runner

__all__ = ["RUNNERS", "Doors", "Runner"]

RUNNERS: dict[tuple[str, str], Runner] = {
    ("agent", "run"): agent.run,
    ("agent", "task"): agent.task,
    ("rag", "ask"): rag.ask,
    ("rag", "ingest"): rag.ingest,
    ("gateway", "chat"): gateway.chat,
    ("gateway", "stream"): gateway.stream,
    ("gateway", "queued"): gateway.queued,
    ("gateway", "embed"): gateway.embed,
}
"""What sends an operation, by kind of workload and name of the operation."""
