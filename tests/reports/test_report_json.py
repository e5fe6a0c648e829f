"""verdict.json: by its schema, complete, and the same ids on every night."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings

from chaos.model.event import LoopLagged
from chaos.reports import document_schema, render_json
from tests.reports.build_hostile import hostile_evidence, hostile_verdict
from tests.reports.build_verdict import sample_evidence, sample_finding, sample_verdict
from tests.reports.hostile import texts

_SCHEMA = Path(__file__).parents[2] / "docs" / "verdict.schema.json"


def test_the_documented_schema_is_current() -> None:
    """docs/verdict.schema.json is what the code writes by; the failure tells how to renew it."""
    renew = "python -c 'import json; from chaos.reports import document_schema as s; print(json.dumps(s(), indent=2))'"
    assert json.loads(_SCHEMA.read_text()) == document_schema(), f"renew it: {renew} > docs/verdict.schema.json"


def test_the_sample_is_valid_and_complete() -> None:
    """Everything that a later comparison needs is there, by its documented name."""
    document = json.loads(render_json(sample_verdict(), sample_evidence()))
    jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text())).validate(document)
    assert (document["verdict"], document["exit_code"]) == ("VIOLATED", 1)
    assert document["counts"]["cells"] == {"holds": 6, "violated": 1, "unknown": 2, "not_judged": 3}
    assert document["counts"]["operations"] == {
        "total": 120,
        "ok": 102,
        "errors": 12,
        "unanswered": 6,
        "unmet": 1,
        "probes": 0,
    }
    assert document["findings"][0]["cells"] == ["error-class/provider-gone/gateway"]
    assert document["settings"]["settle_ms"] == 2000
    assert document["settings_changed"] == []
    assert document["run"]["started"] == "2026-09-21T14:13:20Z"
    slow = next(one for one in document["faults"] if one["fault"] == "slow-postgres")
    assert (slow["kind"], slow["onset_s"], slow["heal_s"]) == ("latency", 6.1, 10.1)


def test_the_kept_sample_report_is_valid() -> None:
    """The sample in reports/ is by the documented schema; renew it when the schema changes."""
    sample = json.loads((_SCHEMA.parents[1] / "reports" / "sample" / "verdict.json").read_text())
    jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text())).validate(sample)


def test_a_schema_that_accepts_everything_would_prove_nothing() -> None:
    """A document without its verdict, or with a word that is no verdict, is refused."""
    validator = jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text()))
    document = json.loads(render_json(sample_verdict(), sample_evidence()))
    for broken in (
        {**document, "verdict": "FINE"},
        {key: value for key, value in document.items() if key != "verdict"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(broken)


def test_ids_do_not_depend_on_the_night() -> None:
    """Other times, operations and counts: the same ids of cells and findings."""
    finding = sample_finding()
    other = msgspec.structs.replace(finding, operation="gateway-99", trace_id="f" * 32, count=3, evidence=("later",))
    evidence = msgspec.structs.replace(
        sample_evidence(), start_wall_ns=1, lags=(LoopLagged(t_ns=1, start_ns=1, end_ns=2),)
    )
    one = json.loads(render_json(sample_verdict(finding), sample_evidence()))
    two = json.loads(render_json(sample_verdict(other), evidence))
    assert [cell["id"] for cell in one["cells"]] == [cell["id"] for cell in two["cells"]]
    assert [found["id"] for found in one["findings"]] == [found["id"] for found in two["findings"]]


@given(texts)
@settings(max_examples=60)
def test_hostile_text_stays_text(text: str) -> None:
    """Valid by the schema, and no control character but the ends of lines, not even an escaped one."""
    document = json.loads(render_json(hostile_verdict(text), hostile_evidence(text)))
    jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text())).validate(document)
    shown = json.dumps(document, ensure_ascii=False).replace("\\n", "")
    assert "\\u00" not in shown
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)
