"""Plain workloads: what a scenario says becomes data, and the data gets the right routes, deadlines and effects."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.link import Link, Protocol
from chaos.model.plain import (
    Content,
    HttpRequest,
    NatsMessage,
    Payload,
    PlainOperation,
    SqlStatement,
    TcpScript,
    TcpStep,
)
from chaos.model.plain_routes import plain_operations, route_of
from chaos.model.reading import Vocabulary, json_schema
from chaos.model.reading.compose import compose
from chaos.model.reading.groups import inline
from chaos.model.scenario import LinkMap, Scenario, WorkloadSpec
from chaos.model.template import Placeholder, TemplateError, find_placeholders, parse_template, unescape
from chaos.model.workload import OperationKind
from tests.reading.conftest import Read
from tests.reading.test_reading_shipped import plain

FILE = Path(__file__).parents[1] / "data/plain.yaml"


@pytest.fixture(scope="module")
def everything(read: Read) -> dict[str, WorkloadSpec]:
    """The workloads of the file that says everything, by name."""
    return {one.name: one for one in read(FILE.read_bytes()).workloads}


def operation(spec: WorkloadSpec, name: str) -> PlainOperation:
    """An operation of a plain workload."""
    assert spec.plain is not None
    return spec.plain.operations[name]


def test_an_http_operation_arrives_whole(everything: dict[str, WorkloadSpec]) -> None:
    """Each key of an HTTP operation is in its field, texts as written."""
    assert operation(everything["orders"], "place") == PlainOperation(
        does=HttpRequest(
            method="POST",
            path="/orders/{op_id}",
            headers={"Idempotency-Key": "{op_id}", "X-Kind": "{choice:new|used}"},
            body=Payload(
                json={
                    "id": "{op_id}",
                    "amount": "{int:1-9}",
                    "lines": [1, 2.5, True, None, {"n": "{index}"}],
                    "text": "{{x}} {nonce}",
                }
            ),
            statuses=(201, 202),
        ),
        content=Content(json={"order.id": "{op_id}", "lines.0.n": 1}, contains=("{nonce}", "done"), ends_with="}}"),
        degraded="/x-degraded/",
        uses=("postgres", "payments"),
        weight=3,
        deadline_ms=3000,
        writes=True,
        effects=("orders",),
    )


def test_the_other_kinds_arrive_whole(everything: dict[str, WorkloadSpec]) -> None:
    """A message, a statement and a script as data."""
    assert operation(everything["nats"], "work").does == NatsMessage(
        subject="orders.place", publish=True, jetstream=True, completion="results.{op_id}", payload=Payload(json=[1])
    )
    assert operation(everything["nats"], "tell").does == NatsMessage(
        subject="orders.{choice:a|b}", publish=True, headers={"X-A": "b"}, payload=Payload(text="hello {op_id}")
    )
    assert operation(everything["sql"], "get").does == SqlStatement(query="select count(*) from t", value=1)
    assert operation(everything["tcp"], "ping").does == TcpScript(
        steps=(
            TcpStep(act="until", text="220 "),
            TcpStep(act="send", text="PING {op_id}\\r\\n"),
            TcpStep(act="expect", text="/^[+]PONG {op_id}/"),
            TcpStep(act="send", text="hex:0d 0a"),
            TcpStep(act="expect", text="hex:0d0a"),
        ),
        keep=True,
        errors={"-": 500},
    )


def test_budget_headers(everything: dict[str, WorkloadSpec], read: Read) -> None:
    """That of the scenario holds unless the workload has its own, or none."""
    headers = {name: one.plain.budget_header for name, one in everything.items() if one.plain}
    assert headers == {
        "orders": "X-Request-Timeout-Ms",
        "nats": None,
        "sql": "X-Request-Timeout-Ms",
        "tcp": "X-Request-Timeout-Ms",
    }
    assert read(FILE.read_bytes().replace(b"budget_header: X-Request-Timeout-Ms\n", b"")).budget_header == "X-Budget-Ms"
    assert read(FILE.read_bytes().replace(b"X-Request-Timeout-Ms", b"false")).budget_header is None


def test_what_writes_by_default(everything: dict[str, WorkloadSpec]) -> None:
    """POST, publish and changing statements do, and `writes` has the last word."""
    found = {
        name: one.writes for spec in everything.values() if spec.plain for name, one in spec.plain.operations.items()
    }
    assert found == {
        "place": True,
        "look": True,
        "note": False,
        "ask": False,
        "tell": True,
        "work": True,
        "put": True,
        "get": False,
        "swap": True,
        "ping": True,
    }


def kinds_of(scenario: Scenario) -> dict[str, OperationKind]:
    """All operations of a scenario by name."""
    return {one.name: one for spec in scenario.workloads for one in plain_operations(spec, scenario.links)}


def test_operations_get_their_deadlines_and_weights(read: Read) -> None:
    """The operation's own deadline, else the workload's (to completion for asynchronous ones), else the default."""
    kinds = kinds_of(read(FILE.read_bytes()))
    found = {name: (one.deadline_ms, one.asynchronous) for name, one in kinds.items()}
    assert found == {
        "place": (3000, False),
        "look": (1500, False),
        "note": (1500, False),
        "ask": (2000, False),
        "tell": (2000, False),
        "work": (8000, True),
        "put": (2000, False),
        "get": (500, False),
        "swap": (2000, False),
        "ping": (2000, False),
    }
    assert kinds["place"].weight == 3
    assert kinds["place"].streams


def test_plain_workloads_travel(read: Read) -> None:
    """Journal and driver get the same data back, in JSON and in msgpack."""
    scenario = read(FILE.read_bytes())
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(scenario), type=Scenario) == scenario  # type: ignore[attr-defined]


def test_the_schema_accepts_it(vocabulary: Vocabulary) -> None:
    """An editor shows no error in a file that says everything."""
    root, _ = compose(FILE.read_bytes(), "plain.yaml")
    jsonschema.validate(plain(root), json_schema(vocabulary), cls=jsonschema.Draft202012Validator)


def test_examples_of_the_schema_are_accepted_by_it(vocabulary: Vocabulary) -> None:
    """What an editor offers as an example of a plain workload's key can be written as it stands."""
    variants = json_schema(vocabulary)["properties"]["workloads"]["items"]["oneOf"]
    for variant in variants:
        for key, field in variant["properties"].items():
            for example in field["examples"]:
                jsonschema.Draft202012Validator(field).validate(example)
            inner = field.get("additionalProperties", {})
            for name, one in (inner.get("properties", {}) if key == "operations" else {}).items():
                for example in one["examples"]:
                    jsonschema.Draft202012Validator(one).validate(example), name


def test_examples_are_written_as_yaml() -> None:
    """An example in a message can be copied: what needs quotes has them."""
    examples = [{"a": "{op_id}", "b": [1, "x, y"]}, "data: [DONE]", "+PONG", "PING\r\n", "rag>postgres", "4/s"]
    for one in examples:
        root, _ = compose(f"x: {inline(one)}", "x.yaml")
        assert plain(root)["x"] == one


# --- Routes.


def link_map(*names: str) -> LinkMap:
    """A map of these links; those to nats speak it."""
    return LinkMap(
        name="m",
        links=tuple(
            Link(name=name, protocol=Protocol.NATS if name.endswith(">nats") else Protocol.TCP) for name in names
        ),
    )


SHOP = link_map(
    "driver>orders",
    "driver>nats",
    "orders>postgres",
    "orders>payments",
    "orders>nats",
    "payments>bank",
    "worker>nats",
    "worker>mail",
    "other>postgres",
)


@pytest.mark.parametrize(
    ("to", "uses", "route"),
    [
        ("orders", (), ()),
        ("orders", ("postgres",), ("orders>postgres",)),
        ("orders", ("payments",), ("orders>payments", "payments>bank")),
        ("orders", ("orders>payments",), ("orders>payments",)),
        ("orders", ("payments", "orders>postgres"), ("orders>payments", "orders>postgres")),
        ("nats", ("worker",), ("worker>nats", "worker>mail")),
        ("orders", ("nats",), ("orders>nats", "worker>nats", "worker>mail")),
    ],
)
def test_routes_by_what_is_used(to: str, uses: tuple[str, ...], route: tuple[str, ...]) -> None:
    """A callee brings along what is behind it, a broker who listens there; named links are exactly those."""
    assert route_of(to, uses, SHOP) == (f"driver>{to}", *route)


def test_routes_without_a_word_are_everything_in_reach() -> None:
    """Nothing said: whatever can be reached, but not what only others call, nor the driver's other links."""
    for to in ("orders", "nats"):
        route = route_of(to, None, SHOP)
        assert route[0] == f"driver>{to}"
        assert set(route[1:]) == set(SHOP.names) - {"driver>orders", "driver>nats", "other>postgres"}


# --- Templates.


def test_templates_are_parsed() -> None:
    """Literal pieces and placeholders, braces doubled."""
    choice, whole = (
        Placeholder("choice", "choice:a|b", words=("a", "b")),
        Placeholder("int", "int:-2-3", least=-2, most=3),
    )
    assert parse_template("{{{op_id}}} {choice:a|b}{int:-2-3}") == (
        "{",
        Placeholder("op_id", "op_id"),
        "} ",
        choice,
        whole,
    )
    assert parse_template("") == ()
    assert find_placeholders("[0-9]{3} {op_id} {x}") == ("[0-9]{3} ", Placeholder("op_id", "op_id"), " {x}")


@given(st.text(alphabet="{}abc:op_id|int-19 ", max_size=40))
def test_parsing_gives_a_template_or_says_why(text: str) -> None:
    """Nothing else comes out, and literals keep their braces."""
    try:
        parts = parse_template(text)
    except TemplateError:
        assert "{" in text or "}" in text
    else:
        again = "".join(
            one.replace("{", "{{").replace("}", "}}") if isinstance(one, str) else f"{{{one.text}}}" for one in parts
        )
        assert parse_template(again) == parts


@given(st.text(max_size=40))
def test_doubled_braces_are_plain_text(text: str) -> None:
    """Any text can be said."""
    assert "".join(map(str, parse_template(text.replace("{", "{{").replace("}", "}}")))) == text


def test_escapes() -> None:
    """Five escapes, and nothing else."""
    assert unescape(r"a\r\n\t\0\\n") == "a\r\n\t\0\\n"
    for wrong in ("\\x", "\\", "a\\ "):
        with pytest.raises(TemplateError, match="escapes nothing"):
            unescape(wrong)
