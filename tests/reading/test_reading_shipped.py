"""The shipped scenarios and link maps: readable, and accepted by the schema that editors use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from chaos.model.reading import Vocabulary, json_schema, link_map_schema, read_link_map, read_scenario
from chaos.model.reading.compose import compose
from chaos.model.reading.nodes import Mapping, Node, Scalar
from chaos.model.scenario import LinkMap

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
LINK_MAPS = sorted((ROOT / "proxies").glob("*.yaml"))


def plain(node: Node) -> Any:
    """Nodes as the plain data that a JSON Schema validator wants."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Mapping):
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items]


def data_of(path: Path) -> Any:
    """A file as plain data, read as YAML 1.2."""
    root, report = compose(path.read_bytes(), path.name)
    report.raise_any()
    return plain(root)


def names_of(paths: list[Path]) -> list[str]:
    """Test ids."""
    return [path.stem for path in paths]


@pytest.mark.parametrize("path", SCENARIOS, ids=names_of(SCENARIOS))
def test_shipped_scenario_reads(path: Path, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """Each shipped drill is valid, named like its file, says what it shows, and knows its own digest."""
    scenario = read_scenario(path.read_bytes(), source=path.name, vocabulary=vocabulary, load_links=load_links)
    assert scenario.name == path.stem
    assert scenario.about
    assert len(scenario.sha256) == 64


@pytest.mark.parametrize("path", SCENARIOS, ids=names_of(SCENARIOS))
def test_shipped_scenario_keeps_within_the_rate_two_cores_carry(
    path: Path, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]
) -> None:
    """Shipped drills start at most twenty operations per second, all workloads together."""
    scenario = read_scenario(path.read_bytes(), source=path.name, vocabulary=vocabulary, load_links=load_links)
    assert sum(one.rate_per_s for one in scenario.workloads) <= 20


@pytest.mark.parametrize("path", SCENARIOS, ids=names_of(SCENARIOS))
def test_schema_accepts_what_is_shipped(path: Path, vocabulary: Vocabulary) -> None:
    """An editor that uses the schema shows no error in a shipped drill."""
    jsonschema.validate(data_of(path), json_schema(vocabulary), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("path", LINK_MAPS, ids=names_of(LINK_MAPS))
def test_shipped_link_map_reads(path: Path) -> None:
    """Each shipped link map is valid, named by its file, and accepted by its schema."""
    assert read_link_map(path.read_bytes(), source=str(path)).name == path.stem
    jsonschema.validate(data_of(path), link_map_schema(), cls=jsonschema.Draft202012Validator)


def test_schemas_are_schemas(vocabulary: Vocabulary) -> None:
    """Both schemas are valid by their own dialect."""
    for schema in (json_schema(vocabulary), link_map_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_key_of_the_schema_is_described(vocabulary: Vocabulary) -> None:
    """An editor can show help for every key: a description and an example that the schema itself accepts."""
    for schema in (json_schema(vocabulary), link_map_schema()):
        for path, one in keys(schema, ""):
            assert one.get("description"), path
            assert one.get("examples"), path


def keys(schema: Any, path: str) -> list[tuple[str, Any]]:
    """All properties of a schema with their paths."""
    found = []
    for name, one in schema.get("properties", {}).items():
        found += [(f"{path}.{name}", one), *keys(one, f"{path}.{name}")]
    for one in [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
        found += keys(one, path)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            found += keys(schema[word], path + "[]")
    return found
