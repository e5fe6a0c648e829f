"""Live progress: what is told, and that nothing of it reaches the run."""

from __future__ import annotations

import contextlib
import io
import os
import pty

import msgspec
import pytest
from hypothesis import given, settings

from chaos.model.event import (
    AttemptEnded,
    AttemptStarted,
    Event,
    EvidenceLost,
    FaultEnded,
    FaultStarted,
    HealChecked,
    Interrupted,
    Note,
    PhaseName,
    PhaseStarted,
    ProcessExited,
    Progress,
    RunEnded,
)
from chaos.reports import live_view
from chaos.reports.progress import LiveState
from tests.journal.build import at, sample_events, sample_plan
from tests.reports.hostile import texts


def _progress(seconds: float, *active: str) -> Progress:
    return Progress(t_ns=at(seconds), per_s=9.9, ok=5, errors=1, unanswered=0, in_flight=2, active=active)


def _second_run(number: int, *faults: str) -> AttemptStarted:
    plan = sample_plan()
    kept = tuple(one for one in plan.faults if not faults or one.name in faults)
    timeline = msgspec.structs.replace(plan.scenario.timeline, faults=kept)
    plan = msgspec.structs.replace(plan, scenario=msgspec.structs.replace(plan.scenario, timeline=timeline))
    return AttemptStarted(t_ns=at(20), run_id="run-1.1", number=number, of=2, cells=(), plan=plan)


def test_second_runs_are_told_as_such() -> None:
    """What is confirmed, which run of how many, and where its logs are; faults of the run before are over."""
    state = LiveState()
    state.feed(next(sample_events()))
    state.feed(FaultStarted(t_ns=at(1), fault="f", link="a>b"))
    assert state.again() == ""
    (line,) = state.feed(_second_run(1, "slow-postgres"))
    assert line.endswith("confirming slow-postgres: second run, 1 of 2")
    assert (state.again(), state.active) == ("second run, 1 of 2", {})
    (line,) = state.feed(ProcessExited(t_ns=at(21), name="rag", code=-9, expected=False))
    assert line.endswith("see logs/attempt-1/rag.log")
    (line,) = state.feed(_second_run(2))
    assert line.endswith("confirming the whole timeline: second run, 2 of 2")
    assert state.feed(AttemptEnded(t_ns=at(30), how="complete")) == []
    (line,) = state.feed(AttemptEnded(t_ns=at(30), how="failed", error="postgres died"))
    assert line.endswith("the second run ended as failed: postgres died")


def test_progress_is_told_every_five_seconds_and_changes_at_once() -> None:
    """Between two lines of progress at least five seconds of the run pass, a new phase counts as a line."""
    state, lines = LiveState(), []
    state.feed(next(sample_events()))
    for half in range(1, 41):
        if half == 16:
            lines += state.feed(PhaseStarted(t_ns=at(8), phase=PhaseName.FAULTS))
        lines += state.feed(_progress(half / 2, "slow on a>b"))
    assert [line.split()[0] for line in lines] == ["5.0s", "8.0s", "13.0s", "18.0s"]
    assert lines[1].endswith("phase faults")
    assert lines[2].endswith("faults: 9.9 op/s, 5 ok, 1 errors, 0 unanswered, 2 in flight; active: slow on a>b")


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (FaultStarted(t_ns=at(1), fault="f", link="a>b"), "fault f on a>b began"),
        (FaultEnded(t_ns=at(1), fault="f", link="a>b", how="lease"), "over (lease)"),
        (HealChecked(t_ns=at(1), remaining=("f on a>b",)), "FAULTS REMAIN: f on a>b"),
        (HealChecked(t_ns=at(1), error="no answer"), "could not be read back: no answer"),
        (
            ProcessExited(t_ns=at(1), name="rag", code=-9, expected=False),
            "rag ended unexpectedly with -9; see logs/rag.log",
        ),
        (EvidenceLost(t_ns=at(1), what="wire records", count=3), "lost 3 wire records"),
        (Interrupted(t_ns=at(1), signal="SIGINT"), "SIGINT: healing"),
        (Note(t_ns=at(1), text="a\x1b[31mb"), "ab"),
        (RunEnded(t_ns=at(1), how="failed", error="why"), "the run ended as failed: why"),
    ],
)
def test_what_a_person_must_see_is_told_at_once(event: Event, told: str) -> None:
    """Trouble never waits for the next line of progress."""
    (line,) = LiveState().feed(event)
    assert told in line


@pytest.mark.parametrize(
    "event",
    [HealChecked(t_ns=1), ProcessExited(t_ns=1, name="x", code=0, expected=True), RunEnded(t_ns=1, how="complete")],
)
def test_what_is_as_planned_is_not_told(event: Event) -> None:
    """No line for what everybody expects."""
    assert LiveState().feed(event) == []


def test_plain_lines_off_a_terminal() -> None:
    """Every line that was told is there when the view is left, in order, without escapes."""
    file = io.StringIO()
    with live_view(sample_plan(), file) as show:
        for event in sample_events():
            show(event)
    lines = file.getvalue().splitlines()
    assert lines[0].endswith("run run-1, seed 7")
    assert [line.split()[-1] for line in lines if " phase " in line] == [
        "bring-up",
        "baseline",
        "faults",
        "heal",
        "recovery",
        "audit",
        "stop",
    ]
    assert "\x1b" not in file.getvalue()
    assert show.error is None


def test_long_lines_are_wrapped_below_their_text() -> None:
    """Off a terminal no line is wider than 80 columns, and none of its words is lost."""
    file = io.StringIO()
    words = [f"fault-{number} on caller>callee" for number in range(12)]
    with live_view(sample_plan(), file) as show:
        show(Note(t_ns=at(1), text=", ".join(words)))
    first, *rest = file.getvalue().splitlines()
    assert first.startswith("   0.0s  fault-0")
    assert all(len(line) <= 80 and line.startswith(" " * 9) for line in [*rest])
    assert " ".join([first, *rest]).split()[1:] == ", ".join(words).split()


def test_quiet_shows_nothing() -> None:
    """Nothing is written at all."""
    file = io.StringIO()
    with live_view(sample_plan(), file, quiet=True) as show:
        for event in sample_events():
            show(event)
    assert file.getvalue() == ""


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_screen_that_breaks_never_reaches_the_run() -> None:
    """The error is kept, the run goes on, and the view is left without one."""
    with live_view(sample_plan(), _Broken()) as show:
        for event in sample_events():
            show(event)
    assert isinstance(show.error, BrokenPipeError)


def test_an_event_that_breaks_the_view_never_reaches_the_run() -> None:
    """Not even something that is no event at all."""
    with live_view(sample_plan(), io.StringIO()) as show:
        show(None)  # type: ignore[arg-type]
    assert isinstance(show.error, AttributeError)


def test_a_screen_that_takes_nothing_does_not_hold_up_the_run() -> None:
    """A full pipe that nobody reads: far more lines than it holds are taken, and the view is left all the same."""
    readable, writable = os.pipe()
    file = os.fdopen(writable, "w")
    note = "x" * 1000
    with live_view(sample_plan(), file) as show:
        for number in range(3000):
            show(Note(t_ns=at(number), text=note))
    os.close(readable)  # the painter gets EPIPE and ends
    show._painter.join(30)
    assert not show._painter.is_alive()
    assert isinstance(show.error, BrokenPipeError)
    with contextlib.suppress(BrokenPipeError):
        file.close()


def test_a_terminal_is_repainted_and_left_clean() -> None:
    """On a terminal the state is painted in place, changes stay as lines, and the cursor is given back."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as file:
        os.set_blocking(ours, False)
        with live_view(sample_plan(), file) as show:
            for event in sample_events():
                show(event)
            show(_progress(9, "slow-postgres on rag>postgres"))
        content = os.read(ours, 1_000_000).decode()
    os.close(ours)
    assert show.error is None
    assert "active faults:" in content
    assert "phase baseline" in content
    assert content.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


@given(texts)
@settings(max_examples=60)
def test_hostile_notes_stay_on_their_line(text: str) -> None:
    """One event, at most one line, nothing that moves a cursor."""
    state = LiveState()
    for event in (Note(t_ns=at(1), text=text), RunEnded(t_ns=at(2), how="failed", error=text), _progress(9, text)):
        lines = state.feed(event)
        assert len(lines) <= 1
        assert all(line.isprintable() for line in lines)
