"""Mutations of shipped scenarios: whatever comes in, a scenario or located problems come out, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chaos.errors import ScenarioError
from chaos.model.reading import Vocabulary, json_schema, read_link_map, read_scenario
from chaos.model.reading.compose import compose
from chaos.model.reading.nodes import Mapping, Node, Scalar
from chaos.model.scenario import LinkMap, Scenario

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "scenarios").glob("*.yaml")), ROOT / "tests/data/plain.yaml"]
SHIPPED = [path.read_text(encoding="utf-8") for path in FILES]
MAPS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "proxies").glob("*.yaml"))]
LOCATED = re.compile(r"[^:\n]+:[0-9]+:[0-9]+: [^\n]+")
WORDS = sorted({word for text in SHIPPED for word in re.findall(r"[^\s{},\[\]:]+|[{},\[\]:\n ]", text)})
NASTY = ["\t", "*", "&a ", "*a ", "!!int ", "<<", "? ", "- ", "---\n", "%", "@", "`", '"', "'", "\\", "|", ">", "#",
         "~", ".nan", "1e999", "0x", "-", "9" * 50, "9" * 5000, "\u2028", "\x85", "\ufeff", "\0", "\U0001f4a5", "[" * 30,
         "{", "}", "null", "true", "1:30", ": ", "\r", "٣s", "..", "\ud800"]  # fmt: skip

Change = tuple[int, int, str]
changes = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 12), st.sampled_from(WORDS + NASTY) | st.text(max_size=6)),
    min_size=1,
    max_size=6,
)


def mutate(text: str, changed: list[Change]) -> str:
    """Replace some stretches of a text."""
    for place, length, new in changed:
        start = place % (len(text) + 1)
        text = text[:start] + new + text[start + length :]
    return text


def plain(node: Node) -> object:
    """Nodes as plain data."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items]


def check(error: ScenarioError) -> None:
    """Every problem is one line that begins with its place."""
    assert error.problems
    assert all(LOCATED.fullmatch(problem) for problem in error.problems), error.problems


class Reader:
    """Reads anything, and checks what comes out."""

    def __init__(self, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
        self.vocabulary = vocabulary
        self.load_links = load_links
        self.schema = jsonschema.Draft202012Validator(json_schema(vocabulary))

    def scenario(self, text: str | bytes) -> Scenario | None:
        """A scenario that its schema accepts too, or located problems."""
        try:
            scenario = read_scenario(text, source="fuzz.yaml", vocabulary=self.vocabulary, load_links=self.load_links)
        except ScenarioError as error:
            check(error)
            return None
        self.schema.validate(plain(compose(text, "fuzz.yaml")[0]))
        return scenario


@pytest.fixture(scope="module")
def reader(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> Reader:
    """One reader for all examples."""
    return Reader(vocabulary, load_links)


def fuzz(examples: int) -> settings:
    """So many examples, however slow the machine is."""
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


@fuzz(300)
@given(text=st.sampled_from(SHIPPED), changed=changes)
@example(text=SHIPPED[0], changed=[(0, 0, "\ud800")])
@example(text=SHIPPED[0], changed=[(0, 0, "x: !<")])
def test_mutated_scenarios(text: str, changed: list[Change], reader: Reader) -> None:
    """A shipped scenario with some stretches replaced."""
    reader.scenario(mutate(text, changed))


@pytest.mark.repeat
@fuzz(10_000)
@given(text=st.sampled_from(SHIPPED), changed=changes)
def test_mutated_scenarios_at_length(text: str, changed: list[Change], reader: Reader) -> None:
    """The same, ten thousand times."""
    reader.scenario(mutate(text, changed))


@fuzz(150)
@given(text=st.sampled_from(MAPS), changed=changes)
def test_mutated_link_maps(text: str, changed: list[Change]) -> None:
    """A shipped link map with some stretches replaced."""
    try:
        read_link_map(mutate(text, changed), source="fuzz.yaml")
    except ScenarioError as error:
        check(error)


@fuzz(150)
@given(raw=st.binary(max_size=200) | st.text(max_size=200))
def test_anything(raw: str | bytes, reader: Reader) -> None:
    """Arbitrary bytes and text."""
    reader.scenario(raw)


@fuzz(150)
@given(text=st.sampled_from(SHIPPED), data=st.data())
def test_a_line_lost_or_doubled(text: str, data: st.DataObject, reader: Reader) -> None:
    """A shipped scenario with a line missing, doubled or moved: what people do with an editor."""
    lines = text.splitlines(keepends=True)
    index = data.draw(st.integers(0, len(lines) - 1))
    line = lines.pop(index)
    for _ in range(data.draw(st.integers(0, 2))):
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    reader.scenario("".join(lines))
