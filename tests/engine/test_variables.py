"""Variables of the environment: those that operations ask for, and no others."""

from __future__ import annotations

import pytest

from chaos.engine.planning import vocabulary
from chaos.engine.variables import plain_environment
from chaos.errors import NotReadyError
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.reading import read_link_map, read_scenario

DRILL = """
name: drill
workloads:
  - kind: http
    to: orders
    rate: 9/s
    operations:
      a: {request: GET /, headers: {X-A: "${CHAOS_TEST_A}", X-B: "${CHAOS_TEST_B} ${{C}}"}}
      b: {request: GET /, headers: {X-A: "${CHAOS_TEST_A}"}}
timeline: {faults: [{fault: refuse, on: driver>orders, for: 4s}]}
"""


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan whose operations ask for two variables."""
    for name in ("A", "B", "C"):
        monkeypatch.setenv(f"CHAOS_TEST_{name}", name * 3)
    scenario = read_scenario(
        DRILL,
        source="drill.yaml",
        vocabulary=vocabulary(),
        load_links=lambda _: read_link_map(b"links: {driver>orders: {protocol: http}}", source="m.yaml"),
    )
    return Plan(scenario=scenario, workloads=tuple(WorkloadPlan(spec=one, operations=()) for one in scenario.workloads))


def test_what_is_asked_for_is_given(plan: Plan) -> None:
    """Two of three."""
    assert plain_environment(plan) == {"CHAOS_TEST_A": "AAA", "CHAOS_TEST_B": "BBB"}


def test_what_is_gone_meanwhile_is_named(plan: Plan) -> None:
    """Set when the plan was read, and not any more."""
    with pytest.raises(NotReadyError, match="CHAOS_TEST_B is not set"):
        plain_environment(plan, {"CHAOS_TEST_A": "AAA"})
