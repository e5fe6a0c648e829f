"""Message faults that mean nothing are refused as they are created, with what to use instead; nothing is stored of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chaos.links.toxic import Toxic
from chaos.links.toxiproxy_limits import why_not
from chaos.model.fault import FAULT_KINDS
from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy import TOXIC_TYPES, ProxySettings, ToxicSpec, open_registry
from tests.proxy.api_rig import echo_server, open_rig_api
from tests.proxy.wire_records import take_records

MESSAGE_FAULTS = sorted(name for name, kind in TOXIC_TYPES.items() if kind.action is not None)


async def answers(protocol: str, *bodies: dict[str, Any]) -> list[tuple[int, str]]:
    """Status and error of each creation on a link of that protocol, and that nothing is left of those refused."""
    found = []
    async with open_rig_api() as api, echo_server() as upstream:
        asked = {"name": "p", "listen": "127.0.0.1:0", "upstream": upstream, "protocol": protocol}
        await api.ask("POST", "/proxies", asked)
        for number, body in enumerate(bodies):
            status, shape = await api.ask("POST", "/proxies/p/toxics", {"name": f"t{number}", **body})
            found.append((status, shape.get("error", "")))
        assert len((await api.ask("GET", "/proxies/p/toxics"))[1]) == sum(status == 200 for status, _ in found)
    return found


REFUSED = [
    ("tcp", {"type": "cut"}, "cut acts on messages, which this link does not tell apart: create the proxy with protocol http, nats or postgres"),
    ("http", {"type": "latency", "phase": "after"}, "phase is about single messages, latency acts on bytes: leave it out, or use cut, hold,"),
    ("http", {"type": "reset", "answer": "503"}, "answer is about single messages, reset acts on bytes"),
    ("http", {"type": "cut", "phase": "later"}, "phase 'later' is unknown, it can be connect, before, after or during:N"),
    ("http", {"type": "cut", "phase": "during"}, "phase 'during' is unknown, it can be"),
    ("http", {"type": "cut", "phase": "during:0"}, "phase 'during:0' is unknown, it can be"),
    ("http", {"type": "cut", "phase": "before:1"}, "phase 'before:1' is unknown, it can be"),
    ("nats", {"type": "cut", "phase": "during:1"}, "cut at during means nothing on a link of nats; an answer of nats has no items: cut before or after"),
    ("http", {"type": "duplicate"}, "duplicate at before means nothing on a link of http; http and postgres would take the second one"),
    ("postgres", {"type": "duplicate", "phase": "after"}, "duplicate at after means nothing on a link of postgres"),
    ("nats", {"type": "duplicate", "phase": "connect"}, "duplicate at connect means nothing on a link of nats; it can act before or after"),
    ("http", {"type": "truncate", "phase": "connect"}, "truncate at connect means nothing on a link of http; there is no message yet: cut with fin"),
    ("http", {"type": "malform", "phase": "connect"}, "there is no message yet: malform before, after or during one"),
    ("http", {"type": "error", "answer": "503", "phase": "connect"}, "HTTP has no start-up that could be answered: cut, hold or drop at connect"),
    ("http", {"type": "error", "answer": "503", "phase": "during:2"}, "an answer of HTTP that has begun cannot become an error"),
    ("http", {"type": "error"}, "error needs an answer: a status from 400 to 599"),
    ("http", {"type": "error", "answer": ""}, "error needs an answer"),
    ("http", {"type": "error", "answer": "200"}, "error answer '200' cannot be told on a link of http: give a status from 400 to 599"),
    ("http", {"type": "error", "answer": "40001"}, "error answer '40001' cannot be told on a link of http"),
    ("postgres", {"type": "error", "answer": "503"}, "error answer '503' cannot be told on a link of postgres: give an SQLSTATE"),
    ("postgres", {"type": "error", "answer": "00000"}, "error answer '00000' cannot be told"),
    ("nats", {"type": "error", "answer": "503"}, "error answer '503' cannot be told on a link of nats: give no-responders"),
    ("postgres", {"type": "error", "answer": "40001", "attributes": {"retry_after": 1}}, "error retry_after is a header of HTTP, postgres has none"),
    ("http", {"type": "error", "answer": "503", "attributes": {"retry_after": -1}}, "error retry_after -1 is negative"),
    ("http", {"type": "cut", "answer": "503"}, "cut answers nothing: leave answer out, or use error"),
    ("http", {"type": "hold"}, "hold 0 holds nothing, give the milliseconds that a message waits"),
    ("http", {"type": "hold", "attributes": {"hold": 5}, "ramp_ms": 5}, "hold has no attributes that could grow: leave ramp_ms out"),
    ("http", {"type": "cut", "phase": "connect", "match": "/x"}, "cut at connect counts connections of the link: leave match and per out"),
    ("http", {"type": "cut", "phase": "connect", "count": {"first": 1}, "per": "operation"}, "cut at connect counts connections of the link"),
    ("http", {"type": "cut", "per": "operation"}, "per says where count begins anew"),
    ("postgres", {"type": "cut", "count": {"first": 1}, "per": "operation"}, "does not say which operation it belongs to"),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "body", "text"), REFUSED, ids=[f"{one[0]}-{one[2][:40]}" for one in REFUSED])
async def test_what_means_nothing_is_refused(protocol: str, body: dict[str, Any], text: str) -> None:
    """With 400 and a text that says what to do."""
    ((status, error),) = await answers(protocol, body)
    assert (status, error[:18]) == (400, "bad request body: ")
    assert text in error


@pytest.mark.parametrize("protocol", ["http", "postgres", "nats"])
async def test_every_phase_that_a_type_says_it_has_is_taken(protocol: str) -> None:
    """And no other."""
    says = {"http": "503", "postgres": "40001", "nats": "no-responders"}[protocol]
    bodies, expected = [], []
    for name in MESSAGE_FAULTS:
        action = TOXIC_TYPES[name].action
        assert action is not None
        extra = {"error": {"answer": says}, "hold": {"attributes": {"hold": 5}}}.get(name, {})
        for phase in Phase:
            bodies.append({"type": name, "phase": "during:2" if phase is Phase.DURING else phase.value, **extra})
            expected.append(200 if Protocol(protocol) in action.phases.get(phase, ()) else 400)
    found = await answers(protocol, *bodies)
    assert [status for status, _ in found] == expected
    assert {200, 400} <= set(expected)


async def test_what_is_taken_is_shown_as_it_was_given() -> None:
    """And read back so."""
    body = {"name": "t", "type": "error", "stream": "downstream", "toxicity": 1.0, "attributes": {"retry_after": 5}}
    body |= {"phase": "after", "match": "POST /x", "count": {"every": 3}, "per": "link", "answer": "429"}
    async with open_rig_api() as api, echo_server() as upstream:
        await api.ask(
            "POST", "/proxies", {"name": "p", "upstream": upstream, "listen": "127.0.0.1:0", "protocol": "http"}
        )
        assert await api.ask("POST", "/proxies/p/toxics", body) == (200, body)
        assert await api.ask("GET", "/proxies/p/toxics/t") == (200, body)
        status, shape = await api.ask("PATCH", "/proxies/p/toxics/t", {"attributes": {"retry_after": 7}})
        assert (status, shape["attributes"]) == (200, {"retry_after": 7})


@pytest.mark.parametrize("name", MESSAGE_FAULTS)
def test_a_real_toxiproxy_is_not_asked_for_it(name: str) -> None:
    """Neither for the type nor for a phase or answer."""
    assert why_not(Toxic(type=name)) == f"the toxic {name!r}"
    assert why_not(Toxic(type="latency", phase="after", answer="503")) == "phase, answer"


@pytest.mark.parametrize("name", MESSAGE_FAULTS)
def test_scenarios_know_the_same(name: str) -> None:
    """Attributes and phases of the kind are those of the type."""
    kind, action = FAULT_KINDS[name], TOXIC_TYPES[name].action
    assert action is not None
    assert set(kind.attributes) == set(TOXIC_TYPES[name].attributes.__struct_fields__)
    assert {phase for phase in kind.phases if action.phases.get(phase)} == set(action.phases)


TOXICS = (Path(__file__).parents[2] / "docs/toxics.md").read_text(encoding="utf-8")


def test_the_table_on_the_page_is_what_is_taken() -> None:
    """A dash where a fault means nothing on any link, words where it means something."""
    rows = re.findall(
        r"^\| `(\w+)` \|(.*)\|$", TOXICS.partition("## Message faults")[2].partition("## Ramps")[0], re.MULTILINE
    )
    assert {name for name, _ in rows} == set(MESSAGE_FAULTS)
    for name, cells in rows:
        action = TOXIC_TYPES[name].action
        assert action is not None
        told = [cell.strip() != "-" for cell in cells.split("|")]
        assert told == [phase in action.phases for phase in Phase], name


async def test_the_example_on_the_page_is_taken() -> None:
    """On a link of Postgres."""
    (text,) = re.findall(r"```json\n(.*?)```", TOXICS, re.DOTALL)
    assert await answers("postgres", json.loads(text)) == [(200, "")]


async def test_another_protocol_ends_what_means_nothing_there() -> None:
    """A live change of it keeps the others, and says of those that go why."""
    async with open_registry() as registry:
        proxy = await registry.create(
            ProxySettings(name="a", upstream="127.0.0.1:1", enabled=False, protocol=Protocol.POSTGRES)
        )
        for name, members in {
            "stays": {"type": "cut", "phase": "after", "match": "COMMIT"},
            "answer": {"type": "error", "answer": "40001"},
            "phase": {"type": "drop", "phase": "during:2"},
            "operation": {"type": "latency"},
        }.items():
            proxy.add_toxic(ToxicSpec(name=name, **members))
        proxy.reframe(Protocol.NATS)
        assert [toxic.name for toxic in proxy.toxics] == ["stays", "operation"]
        proxy.reframe(None)
        assert [toxic.name for toxic in proxy.toxics] == ["operation"]
        gone = [(*one.faults, one.status) for one in take_records(registry.server) if one.kind == "off"]
        assert gone == [("answer", "reframed"), ("phase", "reframed"), ("stays", "reframed")]
