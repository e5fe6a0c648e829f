"""A system of one's own in a scenario: what is read, and which links follow from it."""

from __future__ import annotations

import textwrap

import pytest

from chaos.model.interpolation import callee_holes, expand_environment, fill
from chaos.model.link import Link, Protocol
from chaos.model.reading.compose import compose
from chaos.model.reading.groups import Fields
from chaos.model.reading.system import derive_links, read_system
from chaos.model.reading.system_format import system_format
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.system import ReadyWhen, SystemModel, Upstream, Variables

WHOLE = """
services:
  orders:
    command: "{python} app.py --port {port}"
    cwd: app
    env: {LOG_LEVEL: info, WORKERS: 2, CACHE: "redis://{cache.host}:{cache.port}", KEY: "${API_KEY}"}
    listen: PORT
    calls: {postgres: DATABASE_URL, payments: {host: PAY_HOST, port: PAY_PORT}, cache: {url: CACHE_AT}}
    ready: {log: listening, within: 5s}
    traced: true
    stop: INT
  payments: {command: [node, pay.js, 1], ready: /healthz, port: 18099}
postgres: ${DSN}
nats: local
upstreams: {cache: {at: "127.0.0.1:6379", protocol: tcp}, mail: "127.0.0.1:25"}
"""


def read(text: str, vocabulary: Vocabulary) -> tuple[SystemModel, Fields]:
    """The system written in the text, and its fields."""
    root, report = compose(textwrap.dedent(text), "system.yaml")
    fields = system_format(vocabulary).read(root, report)
    assert isinstance(fields, Fields)
    model = read_system(fields, "folder", report)
    report.raise_any()
    return model, fields


def test_a_whole_system_is_read(vocabulary: Vocabulary) -> None:
    """Commands are words, variables are text, readiness has three forms, stores and upstreams keep their addresses."""
    model, _ = read(WHOLE, vocabulary)
    orders, payments = model.services
    assert orders.command == ("{python}", "app.py", "--port", "{port}")
    assert orders.env["WORKERS"] == "2"
    assert orders.calls["payments"] == Variables(host="PAY_HOST", port="PAY_PORT")
    assert orders.ready == ReadyWhen(kind="log", value="listening", within_ms=5000)
    assert (orders.cwd, orders.listen, orders.stop_signal, orders.traced) == ("app", "PORT", "INT", True)
    assert payments.command == ("node", "pay.js", "1")
    assert (payments.ready, payments.port) == (ReadyWhen(kind="http", value="/healthz"), 18099)
    assert model.stores == {"postgres": "${DSN}", "nats": "local"}
    assert model.upstreams["cache"] == Upstream(address="127.0.0.1:6379", protocol=Protocol.TCP)
    assert model.folder == "folder"


def test_links_follow_from_calls_and_doors(vocabulary: Vocabulary) -> None:
    """One link for each call and each callee that a workload talks to; only HTTP carries trace context."""
    model, fields = read(WHOLE, vocabulary)
    _, report = compose("x: y", "system.yaml")
    environment = {"DSN": "postgresql://u:p@127.0.0.1/app"}
    links = derive_links(model, fields, ["orders", "orders", "nobody"], environment, report).links
    assert links == (
        Link(name="driver>orders", protocol=Protocol.HTTP, traced=True),
        Link(name="orders>postgres", protocol=Protocol.POSTGRES, upstream="127.0.0.1:5432"),
        Link(name="orders>payments", protocol=Protocol.HTTP, traced=True),
        Link(name="orders>cache", protocol=Protocol.TCP, upstream="127.0.0.1:6379"),
    )


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("--port {port}", "--port 81"),
        ("{postgres.url}?x={postgres.host}", "postgres://a?x=b"),
        ('{"json": {"a": 1}}', '{"json": {"a": 1}}'),
        ("{unknown.url} {nothing}", "{unknown.url} {nothing}"),
        ("{{port}}", "{{port}}"),
    ],
)
def test_holes_are_filled_and_nothing_else(text: str, filled: str) -> None:
    """What is no hole that is known stays as it is: JSON and format strings of others pass through."""
    assert fill(text, {"port": "81", "postgres.url": "postgres://a", "postgres.host": "b"}) == filled


def test_holes_of_callees_are_found() -> None:
    """Callee and part, in order."""
    assert list(callee_holes("{port} {a.url} {b-c.host} {{d.url}}")) == [("a", "url"), ("b-c", "host")]


def test_the_environment_is_filled_in_or_told_missing() -> None:
    """A variable that is not set is named."""
    assert expand_environment("a ${B} c", {"B": "x"}) == "a x c"
    with pytest.raises(KeyError, match="B"):
        expand_environment("${B}", {})
