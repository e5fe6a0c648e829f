"""The form of plain workloads: operations on systems that we did not write, as data."""

from __future__ import annotations

from chaos.model.plain import BUDGET_HEADER
from chaos.model.reading.groups import Field, ListOf, MapOf, OneOrMany, Record
from chaos.model.reading.measured import Duration
from chaos.model.reading.plain import Flag, Name, Text, Whole
from chaos.model.reading.plain_shapes import (
    BudgetHeader,
    HeaderName,
    JsonValue,
    Path,
    RequestLine,
    Subject,
    Template,
)
from chaos.model.reading.script_shapes import Pattern, Step

__all__ = ["PLAIN_ABOUT", "budget_header", "plain_fields"]

PLAIN_ABOUT = {
    "http": "Requests to an HTTP service",
    "nats": "Messages over NATS: requests, or work that a message completes",
    "sql": "Statements on a Postgres database",
    "tcp": "Lines and bytes on a TCP connection: a cache, a mail server, anything",
}
"""What each kind is."""

_MOST = 64


def plain_fields(kind: str) -> dict[str, Field]:
    """The keys that a plain workload of that kind has beside those of every workload."""
    examples = {
        "http": {"place": {"request": "POST /orders"}},
        "nats": {"ask": {"request": "orders.price"}},
        "sql": {"look": {"query": "select 1"}},
        "tcp": {"ping": {"script": [{"send": "PING\r\n"}, {"expect": "+PONG"}]}},
    }
    return {
        "to": Field(
            Text(wanted="the name of a callee", example="orders", longest=64, shortest=1),
            "Whom the driver calls: the link driver>to of the link map",
            "orders",
            required=True,
        ),
        "operations": Field(
            MapOf(_OPERATIONS[kind], "operation", most=_MOST, keys=Name()),
            "What it does, by name",
            examples[kind],
            required=True,
        ),
        "budget_header": budget_header("that of the scenario"),
    }


def budget_header(default: str = BUDGET_HEADER) -> Field:
    """The key that names the budget header."""
    return Field(
        BudgetHeader(),
        "Header with the deadline in milliseconds, on HTTP and NATS; false sends none",
        "X-Request-Timeout-Ms",
        default=default,
    )


def _headers() -> Field:
    return Field(
        MapOf(Template(header=True, example="{workload}"), "header", most=_MOST, keys=HeaderName()),
        "Further headers; trace context, baggage and budget are sent anyway",
        {"Idempotency-Key": "{op_id}"},
    )


def _errors(what: str) -> Field:
    return Field(
        MapOf(Whole(least=400, most=599, example=503), "pattern", most=_MOST, keys=Pattern()),
        f"Patterns of {what}, and the status each stands for: an error is told as one, not as wrong content",
        {"/^-LOADING/": 503},
    )


def _degraded(where: str) -> Field:
    return Field(
        Pattern(),
        f"A text or /regular expression/ in {where} that marks a degraded answer: it owes no content",
        "degraded",
    )


def _content() -> dict[str, Field]:
    return {
        "json": Field(
            MapOf(JsonValue(), "path", most=_MOST, keys=Path()),
            "Values of the answer's JSON by path; keys and list indexes with dots between them",
            {"order.id": "{op_id}"},
        ),
        "contains": Field(OneOrMany(Template(shortest=1), "text", _MOST), "Text that the answer holds", "{op_id}"),
    }


def _common() -> dict[str, Field]:
    return {
        "uses": Field(
            OneOrMany(
                Text(wanted="a callee or a link", example="postgres", longest=140, shortest=1), "callee", _MOST, 0
            ),
            "Whom it needs: callees, each with everything behind it, or links to say it exactly; faults there explain its errors",
            ["postgres"],
            default="everything that can be reached from `to`",
        ),
        "writes": Field(
            Flag(),
            "It leaves an effect",
            True,
            default="true for POST, PUT, PATCH and DELETE, for publish, and for statements that do not only read",
        ),
        "effects": Field(
            ListOf(Name(), "effect", 16, 0), "Names of the effects it leaves, as under `effects`", ["orders"]
        ),
        "weight": Field(
            Whole(least=1, most=1000, example=1), "Its share among the workload's operations", 1, default="1"
        ),
        "deadline": Field(
            Duration(least_ms=10, most_ms=300_000, example="2s"),
            "Its budget",
            "2s",
            default="that of the workload, else 2s; 10s to a completion",
        ),
    }


def _http() -> Record:
    status = Whole(least=100, most=599, example=201)
    expect = {
        "status": Field(OneOrMany(status, "status", 32), "Statuses that are right", 201, default="any 2xx"),
        **_content(),
        "ends_with": Field(
            Template(shortest=1), "How the answer ends: the terminal marker of a stream", "data: [DONE]"
        ),
    }
    fields = {
        "request": Field(RequestLine(), "Method and path", "POST /orders", required=True),
        "headers": _headers(),
        "json": Field(JsonValue(), "The body as JSON", {"id": "{op_id}"}),
        "body": Field(Template(), "The body as text", "<order/>"),
        "expect": Field(
            Record("expectation", expect, about="What an ok answer holds"), "What an ok answer holds", {"status": 201}
        ),
        "degraded": _degraded("the answer's headers or body"),
        **_common(),
    }
    moved = dict.fromkeys(("method", "path", "url"), "write request: METHOD /path")
    moved["status"] = "write status: under expect:"
    return Record("http operation", fields, about="One operation", moved=moved)


def _nats() -> Record:
    fields = {
        "request": Field(Subject(), "Subject of a request; its reply is the answer", "orders.price"),
        "publish": Field(Subject(), "Subject of a message that nobody replies to", "orders.place"),
        "jetstream": Field(Flag(), "Publish to a stream and wait for its acknowledgement", True, default="false"),
        "completion": Field(
            Subject(),
            "Subject of the message that completes what was published: the answer; without {op_id} in it, that message must hold the op id",
            "results.{op_id}",
        ),
        "payload": Field(JsonValue(), "The message: text, or JSON", {"id": "{op_id}"}, default="empty"),
        "headers": _headers(),
        "errors": _errors("answers that are errors"),
        "expect": Field(
            Record("expectation", _content(), about="What an ok answer holds"),
            "What an ok answer holds",
            {"contains": "ok"},
        ),
        "degraded": _degraded("the answer"),
        **_common(),
    }
    return Record("nats operation", fields, about="One operation", renamed={"subject": "request", "json": "payload"})


def _sql() -> Record:
    expect = {
        "rows": Field(Whole(least=0, most=1_000_000, example=1), "How many rows it returns or changes", 1),
        "value": Field(JsonValue(), "The first column of the first row", "{op_id}"),
    }
    fields = {
        "query": Field(
            Text(wanted="a statement", example="select 1", longest=100_000, shortest=1),
            "The statement, with $1, $2 for its arguments",
            "insert into orders (id, amount) values ($1, $2)",
            required=True,
        ),
        "args": Field(ListOf(JsonValue(), "argument", 100, 0), "Its arguments", ["{op_id}", 3]),
        "expect": Field(
            Record("expectation", expect, about="What an ok answer holds"), "What an ok answer holds", {"rows": 1}
        ),
        **_common(),
    }
    return Record("sql operation", fields, about="One operation", renamed={"sql": "query", "statement": "query"})


def _tcp() -> Record:
    fields = {
        "script": Field(
            ListOf(Step(), "step", 100),
            "What is sent and what must come, in order",
            [{"send": "PING\r\n"}, {"expect": "+PONG"}],
            required=True,
        ),
        "keep": Field(
            Flag(),
            "Keep connections for later operations; steps before the first send are then done once per connection",
            True,
            default="false",
        ),
        "errors": _errors("lines that are errors"),
        "degraded": _degraded("a line of the answer"),
        **_common(),
    }
    moved = dict.fromkeys(("send", "expect", "until"), "write it as a step under script:")
    return Record("tcp operation", fields, about="One operation", moved=moved)


_OPERATIONS = {"http": _http(), "nats": _nats(), "sql": _sql(), "tcp": _tcp()}
