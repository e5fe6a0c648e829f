"""Traces: one span for each hop and each way out, W3C trace context and baggage in the headers of HTTP and NATS.

The exporter stays off until OTEL_EXPORTER_OTLP_ENDPOINT is set; spans are made all the same, because their ids are what
travels. Only explicit propagators: finding them through entry points costs every start some tens of milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chaos.reference.openai import Usage
from chaos.reference.problems import Problem

__all__ = [
    "Span",
    "SpanKind",
    "copied",
    "exporting",
    "incoming",
    "mark_current_failed",
    "mark_failed",
    "mark_generation",
    "op_id",
    "outgoing",
    "retried_above",
    "retrying_here",
    "span",
    "trace_id",
]

OP_ID = "op.id"
_RETRIES = "retries"

_inbound: ContextVar[str] = ContextVar("inbound_traceparent", default="")
_traceparent = TraceContextTextMapPropagator()
_baggage = W3CBaggagePropagator()
_tracer = trace.get_tracer("chaos.reference")

Attributes = Mapping[str, str | int | float | bool]


@contextmanager
def exporting(service: str, endpoint: str) -> Iterator[None]:
    """Make spans for the life of a service, and export them when there is an endpoint."""
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        delay_ms = float(os.environ.get("OTEL_BSP_SCHEDULE_DELAY", "100"))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=delay_ms))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        # Shutting down against a deaf collector takes seconds: a daemon thread may be left behind.
        stop = threading.Thread(target=provider.shutdown, daemon=True)
        stop.start()
        stop.join(timeout=0.5)


@contextmanager
def span(name: str, kind: SpanKind, attributes: Attributes | None = None) -> Iterator[Span]:
    """A span around a block; an exception or a cancellation that leaves the block makes it an error.

    The SDK leaves a cancelled span unset, which would hide where an operation was given up. A way out that belongs to
    no trace (the outbox looking for work) gets no span: it would be a trace of its own, of nobody's operation.
    """
    entering = kind in (SpanKind.SERVER, SpanKind.CONSUMER)
    if not entering and not trace.get_current_span().get_span_context().is_valid:
        yield trace.INVALID_SPAN
        return
    with _tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            mark_failed(current, error)
            raise


def mark_failed(current: Span, error: BaseException) -> None:
    """Give a span the status of a failure that is answered rather than raised; a caller's mistake is no error of ours."""
    if isinstance(error, Problem) and error.details.status < 500 and error.details.dependency is None:
        return
    current.set_attribute("error.type", _error_type(error))
    current.set_status(StatusCode.ERROR, str(error) if isinstance(error, Problem) else type(error).__name__)


@contextmanager
def incoming(headers: Mapping[str, str]) -> Iterator[None]:
    """Continue the caller's trace and baggage (header names in lower case)."""
    token = context.attach(_baggage.extract(headers, _traceparent.extract(headers, context.Context())))
    inbound = _inbound.set(headers.get("traceparent", ""))
    try:
        yield
    finally:
        _inbound.reset(inbound)
        context.detach(token)


def copied() -> dict[str, str]:
    """Headers with the caller's own traceparent, which leaves this hop out of the trace: for the defect of that kind."""
    return {**outgoing(), "traceparent": _inbound.get()}


def outgoing() -> dict[str, str]:
    """Headers that name the current span as the parent."""
    headers: dict[str, str] = {}
    _traceparent.inject(headers)
    _baggage.inject(headers)
    return headers


def op_id() -> str:
    """The id of the operation this work belongs to; empty when the caller gave none."""
    return str(baggage.get_baggage(OP_ID) or "").replace("\x00", "")


@contextmanager
def retrying_here() -> Iterator[None]:
    """Tell everyone below, in the baggage, that this caller tries again itself: the attempts of several layers multiply."""
    token = context.attach(baggage.set_baggage(_RETRIES, "above"))
    try:
        yield
    finally:
        context.detach(token)


def retried_above() -> bool:
    """Whether somebody above tries the whole of this work again."""
    return baggage.get_baggage(_RETRIES) is not None


def trace_id() -> str:
    """The current trace id in hex; empty outside a trace."""
    found = trace.get_current_span().get_span_context().trace_id
    return f"{found:032x}" if found else ""


def _error_type(error: BaseException) -> str:
    if isinstance(error, Problem):
        return error.details.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__name__


def mark_current_failed(error: BaseException) -> None:
    """`mark_failed` for the span in hand: a failure told inside an answer that began as a success."""
    mark_failed(trace.get_current_span(), error)


def mark_generation(model: str, usage: Usage) -> None:
    """Note model and token usage on the current span (semantic conventions for generative AI)."""
    current = trace.get_current_span()
    current.set_attribute("gen_ai.request.model", model)
    current.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
    current.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)
