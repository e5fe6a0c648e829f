"""What a scenario's values become: units, names, patterns, defaults."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import ScenarioError, UsageError
from chaos.model.fault import FAULT_KINDS, Stream
from chaos.model.reading import Vocabulary, json_schema, read_link_map, read_scenario, split_address
from chaos.model.reading.compose import compose
from chaos.model.reading.expect_format import settings_format
from chaos.model.reading.scalars import resolve
from chaos.model.scenario import Arrivals, LinkMap, RetryCaps, Scenario
from chaos.model.settings import PhaseLimits, Settings

ROOT = Path(__file__).parents[2]
Read = Callable[[str | bytes], Scenario]


def drill(faults: str = "    - {fault: refuse, on: gateway>provider, for: 4s}", *, more: str = "") -> str:
    """A small valid scenario around some faults."""
    head = "name: drill\nworkloads:\n  - {kind: rag, rate: 4/s}\ntimeline:\n  faults:\n"
    return head + faults.strip("\n") + "\n" + textwrap.dedent(more)


def fault(text: str) -> str:
    """A drill with this one fault."""
    return drill(f"    - {{{text}}}")


def test_least_scenario_gets_the_defaults(read: Read) -> None:
    """A name, a workload and a fault are enough; the rest is the model's defaults."""
    scenario = read(drill())
    assert scenario.system == scenario.links.name == "reference"
    assert scenario.workloads[0].arrivals is Arrivals.POISSON
    assert scenario.timeline.baseline.window_ms == 5000
    assert scenario.timeline.recovery.probes == 5
    assert scenario.expect.oracles is None
    assert scenario.expect.settings == Settings()
    assert scenario.expect.confirm is None
    assert scenario.timeline.faults[0].at_ms == 0


def test_bytes_and_text_read_alike(read: Read) -> None:
    """The digest is that of the file's bytes either way."""
    assert read(drill()) == read(drill().encode())


def test_everything_that_can_be_said(read: Read) -> None:
    """Each key of the format arrives in its field, in the model's units."""
    scenario = read("""
name: all
about: Everything at once
system: reference
links: reference
seed: 7
workloads:
  - kind: agent
    name: tasks
    rate: 90/m
    arrivals: constant
    bound: 5
    deadline: 1.5s
    completion: 8s
    operations: {task: 2, run: 1}
timeline:
  baseline: {window: 2s, min_operations: 20, min_per_workload: 5, within: 30s}
  faults:
    - {fault: slicer, on: [rag>any, "*>nats"], at: 0.5s, for: 2s, stream: upstream, toxicity: 0.25,
       average_size: 1KB, size_variation: 100B, delay: 1.5ms}
  recovery: {within: 4s, probes: 2}
expect:
  oracles: [bounded, recovers]
  settings: {settle: 1s, undecided_ratio: 2%, required_operations: 10, speed_factor: 4}
  statuses: {run: [409, 425]}
  retries: {task: {attempts: 8, factor: 4.5}, run: {attempts: 2}}
  confirm: 1
  phases:
    recovery: {error_rate: 0.001, p50: 100ms, p99: 1s, min_rate: 60/m}
allow_hosts: [db.example]
""")
    workload, one = scenario.workloads[0], scenario.timeline.faults[0]
    assert (workload.name, workload.rate_per_s, workload.bound) == ("tasks", 1.5, 5)
    assert (workload.deadline_ms, workload.completion_ms, workload.operations) == (1500, 8000, {"task": 2, "run": 1})
    assert (one.name, one.at_ms, one.for_ms, one.stream, one.toxicity) == ("slicer", 500, 2000, Stream.UPSTREAM, 0.25)
    assert one.attributes == {"average_size": 1000, "size_variation": 100, "delay": 1500}
    assert one.links == ("driver>nats", "rag>gateway", "rag>postgres", "agent>nats", "rag>nats", "gateway>nats")
    assert scenario.timeline.end_ms == 2500
    assert scenario.expect.oracles == ("bounded", "recovers")
    assert scenario.expect.settings.undecided_ratio == 0.02
    assert scenario.expect.statuses == {"run": (409, 425)}
    assert scenario.expect.retries == {"task": RetryCaps(attempts=8, factor=4.5), "run": RetryCaps(attempts=2)}
    assert scenario.expect.confirm == 1
    assert scenario.expect.phases == {
        "recovery": PhaseLimits(error_rate=0.001, p50_ms=100, p99_ms=1000, min_rate_per_s=1)
    }
    assert scenario.allow_hosts == ("db.example",)


@pytest.mark.parametrize("kind", FAULT_KINDS.values(), ids=list(FAULT_KINDS))
def test_every_fault_kind_can_be_written(kind: Any, read: Read) -> None:
    """Each kind reads with all its attributes, written in their units."""
    written = {"ms": "3ms", "us": "3us", "bytes": "3B", "KB/s": "3KB/s", "ppm": "0.0003%", "flag": "true"}
    attributes = {name: written[one.unit] for name, one in kind.attributes.items()} | (
        {"average_size": "9B"} if kind.name == "slicer" else {}
    )
    more = {"answer": 429} if kind.name == "error" else {}
    keys = "".join(f", {name}: {value}" for name, value in {**attributes, **more}.items())
    link = {"error": "gateway>provider", "duplicate": "agent>nats"}.get(kind.name, "rag>postgres")
    got = read(fault(f"fault: {kind.name}, on: {link}, for: 1s{keys}")).timeline.faults[0]
    assert got.kind == kind.name
    assert got.attributes.keys() == kind.attributes.keys()
    assert set(got.attributes.values()) <= {1, 3, 9}


@pytest.mark.parametrize(
    ("pattern", "signature", "listed"),
    [
        ("GET /healthz", "GET /healthz", True),
        ("GET /healthz", "GET /healthz/live", False),
        ("GET /healthz*", "GET /healthz/live", True),
        ("/healthz", "HEAD /healthz", True),
        ("PUB stats.*", "PUB stats.{id}", True),
        ("PUB stats.*", "PUB tasks.stats.x", False),
        ("POST /v1/{id}", "POST /v1/{id}", True),
        ("GET /a.b", "GET /a+b", False),
    ],
)
def test_a_link_lists_what_needs_no_trace_context(pattern: str, signature: str, listed: bool) -> None:
    """Signatures as in the wire log; a star stands for anything, a route for every method."""
    text = f"links: {{a>b: {{protocol: http, traced: true, untraced: ['{pattern}']}}}}"
    (link,) = read_link_map(text, source="mine.yaml").links
    assert link.may_lack_context(signature) is listed


def test_a_message_fault_says_which_messages_and_when(read: Read) -> None:
    """Moment, pattern, count and scope are kept as they are written."""
    text = 'fault: truncate, on: gateway>provider, for: 1s, phase: "during:3", operation: "POST /v1/*", count: {nth: 2}, per: operation'
    got = read(fault(text)).timeline.faults[0]
    assert (got.phase, got.operation, got.count, got.per) == ("during:3", "POST /v1/*", {"nth": 2}, "operation")
    assert got.of_messages


@pytest.mark.parametrize(
    ("link", "written", "answer"),
    [
        ("gateway>provider", "429", "429"),
        ("rag>postgres", "08006", "08006"),
        ("rag>postgres", "'40001'", "40001"),
        ("agent>nats", "no-responders", "no-responders"),
        ("agent>nats", "-ERR 'Stale Connection'", "-ERR 'Stale Connection'"),
    ],
)
def test_an_answer_is_kept_as_written(link: str, written: str, answer: str, read: Read) -> None:
    """Numbers are text here: an SQLSTATE keeps its zeros."""
    got = read(drill(f"    - fault: error\n      on: {link}\n      for: 1s\n      answer: {written}")).timeline.faults[
        0
    ]
    assert got.answer == answer


@pytest.mark.parametrize("kind", ["latency", "reset", "blackhole"])
def test_faults_on_bytes_can_pick_messages_too(kind: str, read: Read) -> None:
    """Pattern, count and scope work for every fault that sits in the stream."""
    more = ", latency: 3ms" if kind == "latency" else ""
    got = read(fault(f"fault: {kind}{more}, on: rag>postgres, for: 1s, operation: COMMIT, count: {{first: 2}}"))
    assert (got.timeline.faults[0].operation, got.timeline.faults[0].count) == ("COMMIT", {"first": 2})


@pytest.mark.parametrize("text", ["any>any", '"*>*"', "any", '"*"', "[any>any]"])
def test_any_means_every_link(text: str, read: Read) -> None:
    """`any` on both sides, or alone, quoted stars included."""
    got = read(fault(f"fault: refuse, on: {text}, for: 1s")).timeline.faults[0]
    assert len(got.links) == 14


def test_a_link_named_twice_counts_once(read: Read) -> None:
    """Overlapping patterns give each link once, in the map's order."""
    got = read(fault("fault: refuse, on: [rag>postgres, any>postgres, rag>any], for: 1s")).timeline.faults[0]
    assert got.links == ("rag>gateway", "rag>postgres", "agent>postgres", "rag>nats")


def test_faults_without_names_get_their_kinds(read: Read) -> None:
    """The kind, then kind-2, stepping over names that are written."""
    rows = [
        "    - {fault: refuse, on: rag>postgres, for: 1s}",
        "    - {fault: refuse, on: rag>nats, for: 1s, name: refuse-2}",
        "    - {fault: refuse, on: agent>nats, for: 1s}",
    ]
    names = [one.name for one in read(drill("\n".join(rows))).timeline.faults]
    assert names == ["refuse", "refuse-2", "refuse-3"]


def test_the_same_fault_may_follow_itself(read: Read) -> None:
    """One ends where the next begins: no overlap."""
    rows = "    - {fault: reset, on: api>rag, for: 2s}\n    - {fault: reset, on: api>rag, at: 2s, for: 2s}"
    assert len(read(drill(rows)).timeline.faults) == 2


def test_both_streams_at_once_are_no_overlap(read: Read) -> None:
    """The same toxic upstream and downstream are two different ones."""
    row = "    - {{fault: latency, on: api>rag, for: 2s, latency: 1ms, stream: {}}}\n"
    assert len(read(drill(row.format("upstream") + row.format("downstream"))).timeline.faults) == 2


def test_zero_needs_no_unit(read: Read) -> None:
    """`at: 0`, and a rate of 0 that stalls."""
    got = read(fault("fault: bandwidth, on: api>rag, at: 0, for: 2s, rate: 0")).timeline.faults[0]
    assert (got.at_ms, got.attributes) == (0, {"rate": 0})


def test_an_anchor_may_be_used(read: Read) -> None:
    """A few anchors and aliases are fine."""
    rows = "    - {fault: reset, on: &l api>rag, for: 2s}\n    - {fault: hang, on: *l , at: 3s, for: 2s}"
    assert [one.links for one in read(drill(rows)).timeline.faults] == [("api>rag",), ("api>rag",)]


def test_hosts_beyond_loopback_need_permission(vocabulary: Vocabulary) -> None:
    """A map that leads to another machine is refused by link and host, and read once the host is allowed."""
    edges = (ROOT / "proxies/reference.yaml").read_text()
    edges = edges.replace("rag>postgres: {protocol: postgres}", 'rag>postgres: {upstream: "db.example:5432"}')

    def load(name: str) -> LinkMap:
        return read_link_map(edges, source="far.yaml")

    with pytest.raises(ScenarioError) as caught:
        read_scenario(drill(more="links: far\n"), source="drill.yaml", vocabulary=vocabulary, load_links=load)
    (problem,) = caught.value.problems
    assert problem.startswith("drill.yaml:7:8: rag>postgres of the map far leads beyond this machine, to db.example;")
    allowed = drill(more="links: far\nallow_hosts: [DB.example]\n")
    assert read_scenario(allowed, source="drill.yaml", vocabulary=vocabulary, load_links=load).links.name == "far"


@pytest.mark.parametrize("error", [FileNotFoundError("x"), KeyError("x"), UsageError("no such map; shipped are a, b")])
def test_a_missing_link_map_is_located(error: Exception, vocabulary: Vocabulary) -> None:
    """Whatever the loader raises for a map that is not there, the scenario's line is named."""

    def load(name: str) -> LinkMap:
        raise error

    bare = dataclasses.replace(vocabulary, link_maps=())
    with pytest.raises(ScenarioError, match=r"drill.yaml:7:8: there is no link map 'mine'; ") as caught:
        read_scenario(drill(more="links: mine\n"), source="drill.yaml", vocabulary=bare, load_links=load)
    assert len(caught.value.problems) == 1


def test_every_setting_can_be_set() -> None:
    """The keys of `expect.settings` are the fields of Settings without their unit, all of them."""
    assert set(settings_format().fields) == {name.removesuffix("_ms") for name in Settings.__struct_fields__}


def test_defaults_in_the_texts_are_the_defaults(vocabulary: Vocabulary) -> None:
    """The default that a description names is the value that the model really takes."""
    settings = json_schema(vocabulary)["properties"]["expect"]["properties"]["settings"]["properties"]
    written = {name: one["description"].partition("Default: ")[2].rstrip(".") for name, one in settings.items()}
    keys = "".join(f"    {name}: {value}\n" for name, value in written.items())
    root, report = compose("settings:\n" + keys, "settings.yaml")
    fields = settings_format().read(root.entries[0].value, report)
    assert fields is not None
    assert not report
    values = {name: getattr(Settings(), name + "_ms", None) or getattr(Settings(), name, None) for name in written}
    assert fields.values == pytest.approx(values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("True", True),
        ("false", False),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("-5", -5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("1e999", float("inf")),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_core_schema(text: str, value: Any) -> None:
    """Plain scalars follow YAML 1.2, where YAML 1.1 is full of surprises."""
    got = resolve(text)
    assert got == value
    assert type(got) is type(value)


@given(st.text(alphabet="0123456789+-.eExXoOnNaAinfbtrueflsl~_:", max_size=8000))
def test_resolving_never_raises(text: str) -> None:
    """Any scalar has a value, however long."""
    resolve(text)


@given(st.integers(min_value=0, max_value=65535), st.sampled_from(["localhost", "127.0.0.1", "[::1]", "db.example"]))
def test_addresses_split(port: int, host: str) -> None:
    """Host and port come apart again, brackets gone."""
    assert split_address(f"{host}:{port}") == (host.strip("[]"), port)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_both_parsers_give_the_same_places(loader: Any) -> None:
    """Nodes and their places do not depend on whether libyaml is there."""
    path = ROOT / "scenarios/quickstart.yaml"
    assert compose(path.read_bytes(), "q.yaml", loader=loader)[0] == compose(path.read_bytes(), "q.yaml")[0]


@pytest.mark.parametrize(
    "text", ["on: *>x\n", "a: [b\n", 'a: "b\n', "a: b: c\n", "a:\n\t- b\n", "a: @b\n", "a\nb: c\n"]
)
def test_both_parsers_complain_alike(text: str) -> None:
    """A syntax error gives the same text with and without libyaml, up to the place of an unclosed bracket."""
    told = []
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        with pytest.raises(ScenarioError) as caught:
            compose(text, "drill.yaml", loader=loader)
        told.append(caught.value.problems[0].partition(": ")[2])
    assert told[0] == told[1]
