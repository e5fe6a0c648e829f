"""Kinds of operations the driver can send, one module per kind. A new kind is a module here and its lines in `RUNNERS`.

Plain kinds have one runner per operation of the scenario, made from what stands there (`plain`).
"""

from __future__ import annotations

from chaos.model.scenario import WorkloadSpec
from chaos.workloads.operations import agent, gateway, rag
from chaos.workloads.operations.doors import Doors, Runner
from chaos.workloads.operations.plain import plain_runner

__all__ = ["RUNNERS", "Doors", "Runner", "find_runner"]

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


def find_runner(spec: WorkloadSpec, operation: str) -> Runner | None:
    """What sends an operation of a workload, or None for one that nobody can send."""
    return RUNNERS.get((spec.kind, operation)) if spec.plain is None else plain_runner(spec.plain, operation)
