"""What variables of operations say must be able to stand where it is asked for; it is told by name and place, never by value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.errors import ScenarioError
from chaos.model.link import Link, Protocol
from chaos.model.reading import Vocabulary, read_scenario
from chaos.model.scenario import LinkMap

DRILL = """
name: shop
links: map
workloads:
  - kind: http
    to: orders
    rate: 50/s
    operations:
      asked: {request: GET /, headers: {Authorization: "Bearer ${A}"}}
      sent: {request: POST /, body: "${B}"}
  - kind: nats
    to: bus
    rate: 50/s
    operations:
      told: {publish: "a.${C}", payload: x}
timeline:
  faults: [{fault: refuse, on: driver>orders, for: 4s}]
"""
MAP = LinkMap(
    name="map",
    links=(Link(name="driver>orders", protocol=Protocol.HTTP), Link(name="driver>bus", protocol=Protocol.NATS)),
)


def problems(vocabulary: Vocabulary, environment: dict[str, str]) -> list[str]:
    """What is told, without what to do."""
    known = replace(vocabulary, environment={"A": "t0ken", "B": "b", "C": "c", **environment})
    try:
        read_scenario(DRILL, source="d.yaml", vocabulary=known, load_links=lambda _: MAP)
    except ScenarioError as error:
        return [one.partition("; ")[0] for one in error.problems]
    return []


@pytest.mark.parametrize(
    "environment",
    [{}, {"A": ""}, {"A": " t0ken "}, {"A": "a:b/c=="}, {"B": "two\nlines \u00e9"}, {"C": "d.e"}, {"C": "\u00e9"}],
)
def test_what_can_be_sent_is_taken(vocabulary: Vocabulary, environment: dict[str, str]) -> None:
    """Bodies take any text, headers a line, subjects tokens."""
    assert problems(vocabulary, environment) == []


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"A": "s3cret-t0ken\n"}, "d.yaml:9:7: the variable A says what cannot stand in a header"),
        ({"A": "s3cret\r\nX-Evil: 1"}, "d.yaml:9:7: the variable A says what cannot stand in a header"),
        ({"A": "s3cret-\u00e9"}, "d.yaml:9:7: the variable A says what cannot stand in a header"),
        ({"B": "s3cret-\udc80"}, "d.yaml:10:7: the variable B is not UTF-8"),
        ({"C": "s3cret b"}, "d.yaml:15:7: the variable C says what cannot stand in a subject"),
        ({"C": "s3cret.>"}, "d.yaml:15:7: the variable C says what cannot stand in a subject"),
        ({"C": ""}, "d.yaml:15:7: the variable C says what cannot stand in a subject"),
    ],
)
def test_what_cannot_be_sent_is_refused(vocabulary: Vocabulary, environment: dict[str, str], told: str) -> None:
    """Before anything is started: in the driver it would end every operation."""
    found = problems(vocabulary, environment)
    assert found == [told]
    assert "s3cret" not in found[0]
