"""Runners of plain operations, by what they do."""

from __future__ import annotations

from chaos.model.plain import HttpRequest, NatsMessage, PlainOperation, PlainWorkload, SqlStatement, TcpScript
from chaos.workloads.operations.doors import Runner
from chaos.workloads.operations.plain_http import compile_http
from chaos.workloads.operations.plain_nats import compile_nats
from chaos.workloads.operations.plain_sql import compile_sql
from chaos.workloads.operations.plain_tcp import compile_tcp

__all__ = ["plain_runner"]


def plain_runner(workload: PlainWorkload, name: str) -> Runner | None:
    """The runner of an operation of that name, or None if there is none. Compiling is not for every call: keep it."""
    operation = workload.operations.get(name)
    return None if operation is None else _compile(workload.to, operation)


def _compile(to: str, operation: PlainOperation) -> Runner:
    match operation.does:
        case HttpRequest():
            return compile_http(to, operation, operation.does)
        case TcpScript():
            return compile_tcp(to, operation, operation.does)
        case SqlStatement():
            return compile_sql(to, operation.does)
        case NatsMessage():
            return compile_nats(to, operation, operation.does)
