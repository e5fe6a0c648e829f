"""Cleaning text of others, and the timeline's picture."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaos.model.event import PhaseName
from chaos.model.evidence import Evidence
from chaos.reports import timeline
from chaos.reports.text import block, code, markdown, one_line, shorten
from chaos.reports.timeline import ASCII
from tests.reports.build_verdict import sample_evidence


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b2Jc1", "c1"),
        ("\x1bcreset", "reset"),
        ("torn \x1b[", "torn"),
        ("\x1b]0;never ended", "0;never ended"),
        ("a\r\nb\tc\x00d\x7f", "a b cd"),
        ("\u202eevil\u2066\u200b\ufeff", "evil"),
        ("\ud800", ""),
        ("naïve 漢字 🦑", "naïve 漢字 🦑"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    """Escapes go whole, controls and invisible characters go, words stay."""
    assert one_line(text) == shown


def test_a_block_keeps_its_lines() -> None:
    """A traceback stays readable, line by line."""
    assert block("Traceback:\n  File\x1b[31m x\r\n\n    raise\x07\n") == "Traceback:\n  File x\n\n    raise"


@given(st.text(st.characters()))
@example("0 \ud7fc\r0")
def test_one_line_is_printable_and_stable(text: str) -> None:
    """Nothing that moves a cursor is left, and cleaning twice changes nothing."""
    once = one_line(text)
    assert once == "".join(char for char in once if char == " " or char.isprintable())
    assert one_line(once) == once
    assert len(shorten(text, 20)) <= 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("slow-postgres: rag>postgres, 504 deadline_exceeded (late).", "slow-postgres: rag>postgres, 504 deadline_exceeded (late)."),
        ("_it_ __x", "\\_it\\_ \\_\\_x"),
        ("- item", "\\- item"),
        ("12. item", "12\\. item"),
        ("http://evil :boom: www.evil", "http\\://evil \\:boom: www\\.evil"),
        ("<b>[l](x)|*", "&lt;b>\\[l\\](x)\\|\\*"),
    ],
)  # fmt: skip
def test_markdown_escapes_what_would_be_markup_only(text: str, shown: str) -> None:
    """The file is readable where nothing renders it."""
    assert markdown(text) == shown


@given(st.text("`a ", max_size=12))
def test_a_code_span_holds_any_backticks(text: str) -> None:
    """Its fence is longer than any run inside."""
    from markdown_it import MarkdownIt

    (paragraph,) = [token for token in MarkdownIt().parse(f"x {code(text)} x") if token.type == "inline"]
    spans = [child.content for child in paragraph.children or [] if child.type == "code_inline"]
    assert spans == ([one_line(text)] if one_line(text) else [])


@given(st.integers(48, 120))
def test_the_picture_fits(width: int) -> None:
    """No line is wider than asked, in ASCII only ASCII."""
    assert all(len(line) <= width for line in timeline(sample_evidence(), width=width))
    assert all(line.isascii() for line in timeline(sample_evidence(), width=width, glyphs=ASCII))


def _bar(evidence: Evidence, name: str) -> str:
    (line,) = [line for line in timeline(evidence, glyphs=ASCII) if line.startswith(name)]
    return line


def test_bars_stand_where_faults_were() -> None:
    """A bar begins after the baseline; a fault that never began shows its plan, one never healed goes on to the end."""
    evidence = sample_evidence()
    slow, gone, idle = evidence.faults
    assert "#" in _bar(evidence, "slow-postgres")
    changed = msgspec.structs.replace(
        evidence,
        faults=(
            msgspec.structs.replace(slow, onset_ns=None, heal_ns=None),
            msgspec.structs.replace(gone, heal_ns=None),
            idle,
        ),
    )
    assert "#" not in _bar(changed, "slow-postgres")
    assert "????" in _bar(changed, "slow-postgres")
    assert _bar(changed, "provider-gone").endswith("#")


def test_a_long_name_is_shown_whole_where_there_is_room() -> None:
    """A quarter of the width at most."""
    name = "provider-refusing"
    long = tuple(msgspec.structs.replace(one, fault=name) for one in sample_evidence().faults)
    evidence = msgspec.structs.replace(sample_evidence(), faults=long)
    assert any(line.startswith(f"{name} ") for line in timeline(evidence, width=80))
    assert any(line.startswith("provider-refusi… ") for line in timeline(evidence, width=60))


def test_wide_names_keep_the_picture_in_line() -> None:
    """Every line is as wide as the others, whatever script a fault's name is in."""
    from rich.cells import cell_len

    evidence = sample_evidence()
    wide = tuple(msgspec.structs.replace(one, fault="遅いデータベース", link="漢字>かな") for one in evidence.faults)
    lines = timeline(msgspec.structs.replace(evidence, faults=wide))
    assert all(cell_len(line) <= 80 for line in lines)
    assert [line.index("·") for line in lines[2:5]] == [lines[2].index("·")] * 3


def test_a_run_without_a_baseline_has_no_picture() -> None:
    """Nothing happened that a picture could show."""
    early = tuple(one for one in sample_evidence().phases if one.phase is PhaseName.BRING_UP)
    assert timeline(msgspec.structs.replace(sample_evidence(), phases=early)) == ()


def test_many_faults_are_counted() -> None:
    """A dozen bars, then how many more there are."""
    evidence = sample_evidence()
    many = tuple(msgspec.structs.replace(evidence.faults[0], fault=f"fault-{n}") for n in range(15))
    assert any("and 3 more" in line for line in timeline(msgspec.structs.replace(evidence, faults=many)))


def test_a_run_without_operations_shows_none() -> None:
    """Sparklines of nothing are empty and say so."""
    idle = msgspec.structs.replace(sample_evidence(), operations=())
    assert [line.split()[-1] for line in timeline(idle)[-2:]] == ["none", "none"]


def test_times_of_a_tampered_record_end() -> None:
    """A phase that lasts for centuries gets a few ticks, not billions."""
    evidence = sample_evidence()
    phases = (
        *evidence.phases[:-1],
        msgspec.structs.replace(evidence.phases[-1], phase=PhaseName.RECOVERY, end_ns=1 << 62),
    )
    assert timeline(msgspec.structs.replace(evidence, phases=phases))
