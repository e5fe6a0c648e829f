"""Links, patterns, durations and rates: what is accepted, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.duration import format_ms, parse_duration_ms, parse_rate_per_s
from chaos.model.fault import FaultSpec, Phase, split_phase
from chaos.model.link import Link, match_links
from chaos.model.verdict import Cell, Finding

LINKS = ("api>rag", "rag>postgres", "agent>postgres", "driver>nats")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("rag>postgres", ("rag>postgres",)),
        ("any>postgres", ("rag>postgres", "agent>postgres")),
        ("*>postgres", ("rag>postgres", "agent>postgres")),
        ("rag>any", ("rag>postgres",)),
        ("any", LINKS),
        ("any>any", LINKS),
        ("rag>nats", ()),
    ],
)
def test_patterns_cover_links_in_order(pattern: str, names: tuple[str, ...]) -> None:
    """`any` and `*` stand for every caller or callee."""
    assert match_links(pattern, LINKS) == names


@pytest.mark.parametrize("name", ["", "rag", "rag>", ">rag", "a>b>c", "  >x"])
def test_what_is_no_link_is_refused(name: str) -> None:
    """A link is caller>callee."""
    with pytest.raises(ValueError, match="is not a link"):
        Link(name=name)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("250ms", 250), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000), ("50us", 0.05), (" 3 s ", 3000)],
)
def test_durations(text: str, ms: float) -> None:
    """A number with a unit."""
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "5", "-1s", "1 day", "1:30", "s", "1e3ms", "nan s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Bare numbers and other units are refused with an example."""
    with pytest.raises(ValueError, match="250ms"):
        parse_duration_ms(text)


@given(st.integers(1, 10_000_000))
def test_a_duration_survives_being_written(ms: int) -> None:
    """What is written is near what was meant: three digits at least."""
    assert parse_duration_ms(format_ms(ms)) == pytest.approx(ms, rel=0.006)


@pytest.mark.parametrize(("text", "rate"), [("5/s", 5), ("90/m", 1.5), ("36/h", 0.01)])
def test_rates(text: str, rate: float) -> None:
    """Operations per unit of time."""
    assert parse_rate_per_s(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["5", "0/s", "-1/s", "5/d", "/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Zero and bare numbers are no rates."""
    with pytest.raises(ValueError, match="5/s"):
        parse_rate_per_s(text)


def test_a_phase_is_a_word_or_a_word_with_a_number() -> None:
    """`during` has the number of an item, the other phases have none."""
    assert split_phase("after") == (Phase.AFTER, 0)
    assert split_phase("during:12") == (Phase.DURING, 12)


@pytest.mark.parametrize(
    "text", ["", "later", "during", "during:0", "during:-1", "during:x", "during:1234567", "after:1", "during:²"]
)
def test_what_is_no_phase_is_refused(text: str) -> None:
    """Items are counted from 1, with few digits."""
    with pytest.raises(ValueError, match=r"."):
        split_phase(text)


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "latncy"},
        {"at_ms": -1},
        {"for_ms": 0},
        {"toxicity": 0},
        {"toxicity": 1.5},
        {"kind": "cut", "phase": "later"},
    ],
)
def test_an_impossible_fault_cannot_be_made(bad: dict[str, object]) -> None:
    """Faults validate on construction."""
    good = {"name": "f", "kind": "latency", "links": ("a>b",), "at_ms": 0, "for_ms": 1}
    with pytest.raises(ValueError, match=r"."):
        FaultSpec(**{**good, **bad})  # type: ignore[arg-type]


def test_ids_are_stable() -> None:
    """Cells and findings keep their ids from night to night: no times, no operations in them."""
    assert Cell(oracle="bounded", fault="slow", workload="rag").id == "bounded/slow/rag"
    assert Cell(oracle="healed").id == "healed/none/all"
    one = Finding(
        oracle="bounded", cause="x", expected="e", seen="s", error_class="late", operation="o1", trace_id="t1"
    )
    two = Finding(
        oracle="bounded", cause="y", expected="f", seen="t", error_class="late", operation="o2", trace_id="t2"
    )
    other = Finding(oracle="bounded", cause="x", expected="e", seen="s", error_class="no-answer")
    assert one.id == two.id != other.id
