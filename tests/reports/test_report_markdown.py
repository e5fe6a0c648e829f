"""summary.md: findings first, and markup of others never becomes markup of ours."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from markdown_it import MarkdownIt

from chaos.model.event import BaselineJudged, LoopLagged
from chaos.model.verdict import Verdict
from chaos.reports import render_markdown
from chaos.reports.summary import causes
from chaos.reports.text import one_line
from tests.reports.build_hostile import hostile_evidence, hostile_verdict
from tests.reports.build_verdict import sample_evidence, sample_finding, sample_verdict
from tests.reports.hostile import texts

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def test_the_cause_comes_first() -> None:
    """Verdict, then findings with their cause as heading, then the tables."""
    text = render_markdown(sample_verdict(), sample_evidence())
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "# ❌ quickstart: VIOLATED"
    assert headings[1] == "## Findings"
    assert headings[2].startswith("### 1. api answered 500 internal")
    assert headings[3:] == ["## Oracles", "## Timeline", "## Unknown", "## Not judged", "## Notes", "## Run"]


def test_the_table_has_a_column_for_each_fault() -> None:
    """Oracles over faults, with a sign for each and one for what was not judged."""
    lines = render_markdown(sample_verdict(), sample_evidence()).splitlines()
    assert "| oracle | verdict | `slow-postgres` | no fault | `provider-gone` | `nats-reset` | why |" in lines
    (row,) = [line for line in lines if line.startswith("| error-class |")]
    assert "| VIOLATED | ⚪ | ⚪ | ❌ ✅ | ⚪ |" in row


def test_findings_with_the_same_cause_share_a_heading() -> None:
    """The first is shown whole; the others keep their ids, and what tells them apart."""
    first = sample_finding()
    second = msgspec.structs.replace(first, oracle="cause-kept", signature="stream", operation="gateway-70", count=3)
    third = msgspec.structs.replace(sample_finding("another one"), link="a>b")
    text = render_markdown(sample_verdict(first, second, third), sample_evidence())
    assert [line[:20] for line in text.splitlines() if line.startswith("### ")] == [
        "### 1. api answered ",
        "### 2. another one",
    ]
    assert "3 findings with 2 causes" in text
    (also,) = [line for line in text.splitlines() if line.startswith("- also ")]
    assert also.startswith(
        f"- also **cause-kept**, 3 operations of `gateway.stream`, id `{second.id}`: operation `gateway-70`"
    )


def test_what_was_not_judged_for_the_same_reason_shares_a_line() -> None:
    """With the ids of the cells, as in the other reports."""
    lines = render_markdown(sample_verdict(), sample_evidence()).splitlines()
    (line,) = [one for one in lines if "enable it with" in one]
    assert "`bounded/nats-reset/gateway`, `error-class/nats-reset/gateway`, `isolation/nats-reset/gateway`:" in line


def test_an_unknown_run_says_why_at_the_top() -> None:
    """The unsteady baseline, and not one of the many doubts that follow from it."""
    unknown = msgspec.structs.replace(sample_verdict(), verdict=Verdict.UNKNOWN, exit_code=3)
    baseline = BaselineJudged(t_ns=1, steady=False, reason="10 of 119 answers were not ok", operations=119)
    shaky = msgspec.structs.replace(sample_evidence(), baseline=baseline)
    top = render_markdown(unknown, shaky).split("##")[0]
    assert "**the baseline was not steady, so no fault was begun: 10 of 119 answers were not ok**" in top
    lags = tuple(LoopLagged(t_ns=n, start_ns=n, end_ns=n + 1) for n in range(13))
    top = render_markdown(unknown, msgspec.structs.replace(shaky, lags=lags)).split("##")[0]
    assert "the machine looks too busy for a drill (the driver stood still 13 times)" in top


@given(texts)
@settings(max_examples=120)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    """A parser finds no HTML, link, image or emphasis of others, the same tables and headings, and the text itself in the cause."""
    verdict, evidence = hostile_verdict(text), hostile_evidence(text)
    tokens = _PARSER.parse(render_markdown(verdict, evidence))
    inner = [child for token in tokens for child in (token.children or [])]
    kinds = {token.type for token in [*tokens, *inner]}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "em_open", "s_open", "blockquote_open"}
    columns = 2 + len({one.cell.fault for one in verdict.cells}) + 1
    rows = [token.type for token in tokens if token.type in {"tr_open", "th_open", "td_open"}]
    assert rows.count("th_open") == columns
    assert rows.count("td_open") == columns * (rows.count("tr_open") - 1)
    plain = render_markdown(hostile_verdict("plain"), hostile_evidence("plain"))
    known = [token.tag for token in _PARSER.parse(plain) if token.type == "heading_open"]
    assert len([token for token in tokens if token.type == "heading_open"]) == len(known) - (
        plain.count("### ") - _causes(verdict)
    )
    causes = [tokens[at + 1] for at, token in enumerate(tokens) if token.tag == "h3" and token.type == "heading_open"]
    shown = "".join(child.content for child in causes[0].children or [])
    assert shown == f"1. {one_line(text)}".rstrip()


def _causes(verdict: object) -> int:
    return len(causes(verdict.findings))  # type: ignore[attr-defined]
