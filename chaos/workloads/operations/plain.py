"""Runners of plain operations, by what they do; and which doors they need."""

from __future__ import annotations

from chaos.model.plain import HttpRequest, PlainOperation, PlainWorkload
from chaos.workloads.operations.doors import Runner
from chaos.workloads.operations.plain_http import compile_http

__all__ = ["plain_runner"]


def plain_runner(workload: PlainWorkload, name: str) -> Runner | None:
    """The runner of an operation of that name, or None if there is none. Compiling is not for every call: keep it."""
    operation = workload.operations.get(name)
    return None if operation is None else _compile(workload.to, operation)


def _compile(to: str, operation: PlainOperation) -> Runner | None:
    match operation.does:
        case HttpRequest():
            return compile_http(to, operation, operation.does)
        case _:
            return None
