"""Spans as a collector receives them, and what happens when it does not listen."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chaos.system import reserve_port
from tests.reference.rig import Backend, Op, Post, envelope


class Collector:
    """An OTLP receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.add(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def add(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            [name] = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
            self.spans += [(name, span) for scope in resource.scope_spans for span in scope.spans]

    def of(self, op: Op) -> list[tuple[str, Span]]:
        return [(name, span) for name, span in self.spans if span.trace_id.hex() == op.trace_id]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector in a thread."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join(10)


async def test_spans_of_an_operation_form_one_tree(own: Backend, collector: Collector, post: Post) -> None:
    """Each hop's server span hangs on the span its caller named on the wire; a failure marks the path to its root."""
    good, bad = Op(), Op()
    own.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    task = envelope("task", tenant="acme", task="something", query="anything")
    assert (await post(own, "api", "/v1/agent/tasks", task, good)).status_code == 200
    own["gateway>provider"].fault("refuse")
    assert (await post(own, "api", "/v1/agent/tasks", task, bad)).status_code == 503
    assert {service.stop() for service in own.services.values()} == {0}

    spans = collector.of(good)
    ids = {span.span_id for _, span in spans}
    assert {span.parent_span_id.hex() for _, span in spans if span.parent_span_id not in ids} == {good.span_id}
    assert {name for name, span in spans if span.kind == Span.SPAN_KIND_SERVER} == {
        "api",
        "agent",
        "rag",
        "gateway",
        "provider",
    }
    assert {span.status.code for _, span in spans} == {Status.STATUS_CODE_UNSET}

    failed = [(name, span) for name, span in collector.of(bad) if span.status.code == Status.STATUS_CODE_ERROR]
    assert {name for name, span in failed if span.kind == Span.SPAN_KIND_SERVER} == {"api", "agent", "gateway"}
    assert {name for name, span in failed if span.kind == Span.SPAN_KIND_CLIENT} == {"api", "agent", "gateway"}
    roots = {span.trace_id.hex() for _, span in collector.spans}
    assert roots == {good.trace_id, bad.trace_id}, "background work must not make traces of its own"


async def test_a_deaf_collector_delays_no_stop(own: Backend, post: Post, op: Op) -> None:
    """With a collector that accepts nothing, services stop by themselves and with 0."""
    with reserve_port() as nobody:
        own.start(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{nobody.address}")
        question = envelope("question", tenant="acme", question="anything")
        assert (await post(own, "api", "/v1/ask", question, op)).status_code == 200
        assert {service.stop() for service in own.services.values()} == {0}
