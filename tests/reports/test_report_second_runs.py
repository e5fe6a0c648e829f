"""What rests on time, told by every renderer: what a second run confirmed, what none did, and the second runs themselves."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest

from chaos.model.evidence import Evidence
from chaos.model.verdict import RunVerdict, Verdict
from chaos.oracles import judge
from chaos.reports import Screen, console_text, render_json, render_junit, render_markdown
from chaos.reports.document import document_schema
from tests.oracles.build import fault, operation, plan, run, steady_load

BOTH = (fault("latency", "rag>postgres", name="slow"), fault("hang", name="silent"))
LATE = tuple(operation(22.05 + i / 10, took_ms=3000) for i in range(5))


def late(*attempts: Evidence) -> tuple[RunVerdict, Evidence]:
    """A run with late answers, and these second runs."""
    first = run(plan(*BOTH), *steady_load(10, 26), *LATE)
    evidence = msgspec.structs.replace(first, attempts=attempts)
    return judge(evidence), evidence


def again(*late_again: int, **fields: object) -> Evidence:
    """A second run of the slow fault alone."""
    extra = tuple(LATE[i] for i in late_again)
    return run(plan(BOTH[0]), *steady_load(10, 26), *extra, start_ns=0, end_ns=60_000_000_000, **fields)


@pytest.mark.parametrize(
    ("attempts", "said", "counted"),
    [
        ((), "not confirmed by a second run", "2 findings, not confirmed"),
        ((again(),), "not confirmed by a second run", "2 findings, not confirmed"),
        ((again(0, 1),), "confirmed by a second run", "2 findings with 1 cause, 1 not confirmed"),
    ],
)
def test_a_finding_says_whether_a_second_run_confirmed_it(
    attempts: tuple[Evidence, ...], said: str, counted: str
) -> None:
    """On the screen, in the summary, in verdict.json, and in junit.xml where it fails."""
    verdict, evidence = late(*attempts)
    text = console_text(verdict, evidence, screen=Screen())
    assert counted.rpartition(", ")[2] in text
    assert f"bounded, 5 operations, {said}" in text
    summary = render_markdown(verdict, evidence)
    assert f"**{said}**" in summary
    document = json.loads(render_json(verdict, evidence))
    jsonschema.Draft202012Validator(document_schema()).validate(document)
    confirmed = {one["fault"]: one["confirmed"] for one in document["findings"]}
    assert confirmed == {"slow": said.startswith("confirmed"), "silent": False}
    failures = [one.text or "" for one in ET.fromstring(render_junit(verdict, evidence)).iter("failure")]
    assert len(failures) == (verdict.verdict is Verdict.VIOLATED)
    assert all("second run: confirmed by a second run" in one for one in failures)


def test_second_runs_are_told() -> None:
    """What was repeated, how much there was, how long it took, and how it ended."""
    whole = msgspec.structs.replace(again(), plan=plan(*BOTH), end_how="failed", end_error="postgres died")
    verdict, evidence = late(again(0), whole)
    text = console_text(verdict, evidence, screen=Screen())
    assert "second run of slow: 161 operations, 60 s\n" in text
    assert "second run of the whole timeline: 160 operations, 60 s, ended as failed\n" in text
    assert "second run of slow: 161 operations, 60 s" in render_markdown(verdict, evidence)
    first, second = json.loads(render_json(verdict, evidence))["attempts"]
    assert (first["faults"], first["end_how"], first["operations"]["total"], first["end_s"]) == (
        ["slow"],
        "complete",
        161,
        50.0,  # the first record of the first run is that of its baseline, at 10 s
    )
    assert (second["faults"], second["end_error"]) == (["slow", "silent"], "postgres died")


def test_a_run_without_second_runs_says_nothing_of_them() -> None:
    """Nothing rested on time."""
    evidence = run(plan(*BOTH), *steady_load(10, 26))
    verdict = judge(evidence)
    assert "second run" not in console_text(verdict, evidence, screen=Screen())
    assert json.loads(render_json(verdict, evidence))["attempts"] == []
