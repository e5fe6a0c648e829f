"""Redaction of a run takes secrets, and nothing that its record is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.engine.own_system import plan_secrets
from chaos.engine.planning import load_plan
from chaos.engine.redaction import Redaction, record_words
from chaos.errors import ScenarioError
from chaos.journal.redaction import redact_record
from chaos.model.secrecy import FORMAT_WORDS
from chaos.oracles import judge
from tests.oracles import build
from tests.oracles.build import error, fault, plan, probes, steady_load

DRILL = """
name: shop-night
system:
  services:
    orders-api: {command: "python a.py {port}", env: {TENANT: "${TENANT}"}, calls: {postgres: DATABASE_URL}}
  postgres: local
workloads:
  - {kind: http, name: reading, to: orders-api, rate: 10/s, operations: {look-up: {request: GET /}}}
timeline:
  faults:
    - {fault: refuse, name: gone-away, on: orders-api>postgres, for: 4s}
"""


@pytest.fixture
def drill(tmp_path: Path) -> Path:
    """A scenario that passes one variable on."""
    path = tmp_path / "drill.yaml"
    path.write_text(DRILL)
    return path


def test_no_secret_changes_what_a_record_says() -> None:
    """Those that are words of it, or stand in names of its scenario, are left alone: the verdict is the same."""
    what = plan(fault("refuse", "rag>gateway"))
    ops = steady_load(10.5, 19.5) + steady_load(20.1, 23.9, error(503, dependency="gateway")) + steady_load(26.5, 30)
    evidence = build.run(what, *ops, *probes())
    redaction = Redaction(record_words(what))
    redaction.add({*FORMAT_WORDS, "rag>gateway", "gateway", "efused", "bounded/none"})
    seen = redact_record(evidence, redaction.text)
    assert seen == evidence
    assert judge(seen) == judge(evidence)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("orders", "the name orders-api"),
        ("look-up", "the name look-up"),
        ("p-night", "the name shop-night"),
        ("reading", "the name reading"),
        ("gone-away", "the name gone-away"),
        ("orders-api>p", "the name orders-api>postgres"),
        ("bounded", "bounded, a word of the record"),
        ("complete", "complete, a word of the record"),
        ("refused", "refused, a word of the record"),
    ],
)
def test_a_variable_that_stands_in_the_record_is_refused(
    drill: Path, value: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started, with its name, its place and what to do."""
    monkeypatch.setenv("TENANT", value)
    with pytest.raises(ScenarioError) as told:
        load_plan(str(drill))
    (problem,) = told.value.problems
    assert problem.startswith(f"{drill}:5:63: what TENANT says stands in {where}, and cannot be hidden without it; ")
    assert problem.endswith("or write the value out: what stands here is no secret")


@pytest.mark.parametrize("value", ["shop", "postgres", "127.0.0.1", "localhost", "acme-corporation", ""])
def test_other_values_are_taken(drill: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too short or too common to be hidden, and what stands nowhere else."""
    monkeypatch.setenv("TENANT", value)
    found = load_plan(str(drill))
    redaction = Redaction(record_words(found))
    redaction.add(plan_secrets(found))
    assert (redaction.text("acme-corporation at 127.0.0.1") == "[redacted] at 127.0.0.1") == (
        value == "acme-corporation"
    )


def test_a_variable_of_an_operation_is_refused_at_the_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its texts have no places of their own."""
    monkeypatch.setenv("TENANT", "orders-api")
    path = tmp_path / "drill.yaml"
    path.write_text(
        DRILL.replace('"${TENANT}"', "x").replace("request: GET /", 'request: GET /, headers: {X: "${TENANT}"}')
    )
    with pytest.raises(ScenarioError, match=r"drill.yaml:8:\d+: what TENANT says stands in the name orders-api"):
        load_plan(str(path))
