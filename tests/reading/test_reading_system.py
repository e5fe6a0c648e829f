"""A system of one's own in a scenario: what is read, and which links follow from it."""

from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest

from chaos.errors import ScenarioError
from chaos.model.interpolation import callee_holes, expand_environment, interpolate
from chaos.model.link import Link, Protocol
from chaos.model.reading.compose import compose
from chaos.model.reading.groups import Fields
from chaos.model.reading.scenario import read_scenario
from chaos.model.reading.system import derive_links, read_system
from chaos.model.reading.system_format import system_format
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import LinkMap
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
    untraced: [GET /healthz]
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
    """One link for each call and each callee that a workload talks to; only HTTP carries trace context, but for what is listed."""
    model, fields = read(WHOLE, vocabulary)
    _, report = compose("x: y", "system.yaml")
    environment = {"DSN": "postgresql://u:p@127.0.0.1/app"}
    links = derive_links(model, fields, ["orders", "orders", "nobody"], environment, report).links
    assert links == (
        Link(name="driver>orders", protocol=Protocol.HTTP, traced=True),
        Link(name="orders>postgres", protocol=Protocol.POSTGRES, upstream="127.0.0.1:5432"),
        Link(name="orders>payments", protocol=Protocol.HTTP, traced=True, untraced=("GET /healthz",)),
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
    assert interpolate(text, {"port": "81", "postgres.url": "postgres://a", "postgres.host": "b"}, {}) == filled


def test_holes_of_callees_are_found() -> None:
    """Callee and part, in order."""
    assert list(callee_holes("{port} {a.url} {b-c.host} {{d.url}}")) == [("a", "url"), ("b-c", "host")]


def test_what_was_filled_in_is_not_filled_in_again() -> None:
    """Values that look like holes stay as they are."""
    text = interpolate(
        "{port} ${A} {db.host} {x} ${port}", {"port": "${A}", "db.host": "{port}"}, {"A": "{port}", "port": "p"}
    )
    assert text == "${A} {port} {port} {x} p"


def test_the_environment_is_filled_in_or_told_missing() -> None:
    """A variable that is not set is named."""
    assert expand_environment("a ${B} c", {"B": "x"}) == "a x c"
    with pytest.raises(KeyError, match="B"):
        expand_environment("${B}", {})


@pytest.mark.parametrize(
    "written",
    ["postgres://u:${PW}@127.0.0.1:5432/db", "postgres://u:x@${PW}/db", "${DSN}", "postgres://u:x@${HOST}/db"],
)
def test_no_message_tells_what_a_variable_of_a_store_says(vocabulary: Vocabulary, written: str) -> None:
    """Neither a password that is taken for a host, nor a host; the variable is named instead."""
    environment = {
        "PW": "hun@ter2secret/x",
        "DSN": "postgres://u:hun@ter2secret/x@127.0.0.1:5432/db",
        "HOST": "ter2secret",
    }
    known = replace(vocabulary, environment=environment)
    text = f"""
name: shop
system:
  services: {{orders: {{command: x, calls: {{postgres: URL}}}}}}
  postgres: "{written}"
workloads: [{{kind: tcp, to: orders, rate: 50/s, operations: {{a: {{script: [{{send: a}}, {{expect: a}}]}}}}}}]
timeline: {{faults: [{{fault: latency, on: orders>postgres, for: 1s, latency: 1ms}}]}}
"""
    try:
        read_scenario(text, source="drill.yaml", vocabulary=known, load_links=lambda _name: LinkMap(name="", links=()))
        said = ""
    except ScenarioError as error:
        said = str(error)
    assert "ter2" not in said
    assert ("${HOST}" in said) == ("${HOST}" in written)
    assert (said == "") == (written == "postgres://u:${PW}@127.0.0.1:5432/db")
