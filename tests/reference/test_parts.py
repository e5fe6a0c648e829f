"""The small parts: budgets, envelopes, problems, Retry-After, streams, settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import formatdate

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.reference import budget, envelope, lag, problems, spending
from chaos.reference.messages import Question
from chaos.reference.openai import STREAM_DONE, Chunk, ChunkChoice, Delta
from chaos.reference.problems import Problem
from chaos.reference.rag.app import split_text
from chaos.reference.sse import completion_parts


@given(st.integers(31, 600_000), st.integers(1, 600_000))
def test_budgets_shrink(budget_ms: int, own_ms: int) -> None:
    """A hop waits less than it was given, never longer than its own timeout, and tells its callee still less."""
    with budget.travel({"x-budget-ms": str(budget_ms)}):
        limit = budget.limit_ms(own_ms, "somebody")
    assert limit <= own_ms
    assert limit < budget_ms
    assert 0 <= budget.passed_on_ms(limit) < limit


async def test_a_late_process_promises_less() -> None:
    """What a callee is told, and what is left of a budget that came in, shrink by the time this process was not let run."""
    assert lag.recent_ms() == 0
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    time.sleep(0.3)  # nobody else runs meanwhile
    assert lag.recent_ms() > 250
    assert budget.passed_on_ms(1000) < 950 - 250
    with budget.travel({"x-budget-ms": "1000"}):
        left_ms = budget.remaining_ms()
        assert left_ms is not None
        assert left_ms < 1000 - 250
    watching.cancel()
    await asyncio.wait({watching})
    assert lag.recent_ms() == 0


def test_no_budget_means_own_timeouts() -> None:
    """Without the header every call has its own timeout; settling work has it even when the budget is used up."""
    assert budget.remaining_ms() is None
    assert budget.deadline_unix_ms() is None
    assert budget.limit_ms(700, "somebody") == 700
    with budget.travel({"x-budget-ms": "0"}):
        with pytest.raises(Problem, match="deadline_exceeded"):
            budget.limit_ms(700, "somebody")
        with budget.settling():
            assert budget.limit_ms(700, "somebody") == 700
    assert budget.remaining_ms() is None


def test_queued_messages_go_by_their_deadline() -> None:
    """The absolute deadline counts for a message that has waited, whatever its relative budget still says."""
    past = str(int(time.time() * 1000) - 5000)
    with budget.travel({"x-budget-ms": "9999", "x-deadline-unix-ms": past}):
        left_ms = budget.remaining_ms()
        assert left_ms is not None
        assert left_ms < 0


@pytest.mark.parametrize("text", ["", "-1", "1.5", "soon", "1e3"])
def test_a_budget_that_is_no_number_is_refused(text: str) -> None:
    """A header that cannot be read is the caller's mistake."""
    with pytest.raises(Problem, match="X-Budget-Ms"), budget.travel({"x-budget-ms": text}):
        pass


@given(st.text(), st.text())
def test_envelopes_round_trip(tenant: str, question: str) -> None:
    """What goes in comes out, for data that is valid."""
    data = Question(tenant=tenant, question=question)
    try:
        msgspec.convert(msgspec.to_builtins(data), Question)
    except msgspec.ValidationError:
        with pytest.raises(envelope.EnvelopeError):
            envelope.decode(envelope.encode("question", data), "question", Question)
    else:
        assert envelope.decode(envelope.encode("question", data), "question", Question) == data


@given(st.binary())
def test_garbage_is_an_envelope_error(payload: bytes) -> None:
    """No payload gets past the envelope as another exception."""
    with pytest.raises(envelope.EnvelopeError):
        envelope.decode(payload, "question", Question)


@given(st.integers(300, 599), st.binary(max_size=40), st.sampled_from(["application/problem+json", "text/html"]))
def test_any_error_answer_becomes_a_problem_of_the_callee(status: int, body: bytes, content_type: str) -> None:
    """What a callee answers without naming a root is the callee's failure, never the caller's mistake."""
    problem = problems.from_answer("rag", status, content_type, body, None)
    assert problem.details.dependency == "rag"
    assert problem.details.status in (429, 502, 503, 504)


def test_roots_and_callers_mistakes_are_kept() -> None:
    """A problem from below keeps its root and a conflict stays one; other failures and refusals are the callee's."""

    def told(problem: Problem) -> problems.ProblemDetails:
        body = msgspec.json.encode(problem.details)
        return problems.from_answer("rag", problem.details.status, problems.MEDIA_TYPE, body, None).details

    root = problems.unavailable("postgres", "gone")
    assert told(root) == root.details
    conflict = problems.conflict("this key was used before")
    assert told(conflict) == conflict.details
    for unexplained in (problems.internal(), problems.invalid_request("what we asked cannot be read")):
        inside = told(unexplained)
        assert (inside.code, inside.status, inside.dependency) == ("dependency_error", 502, "rag")


def test_retry_after_in_seconds_and_as_a_date() -> None:
    """Both forms are read; nonsense asks for no pause."""
    assert problems.retry_after_s("2") == 2
    at = problems.retry_after_s(formatdate(time.time() + 60, usegmt=True))
    assert at is not None
    assert 50 < at <= 60
    assert problems.retry_after_s(formatdate(time.time() - 60, usegmt=True)) == 0
    assert problems.retry_after_s("later") is problems.retry_after_s(None) is None


def test_retry_after_travels_in_the_problem() -> None:
    """The pause a dependency asked for goes on where there is no header for it, and the header's wins where there is."""
    first = problems.from_answer("provider", 429, "text/plain", b"slow down", "7")
    assert (first.details.code, first.details.retry_after_s) == ("rate_limited", 7)
    body = msgspec.json.encode(first.details)
    for header, pause_s in ((None, 7), ("5", 5)):
        passed_on = problems.from_answer("gateway", 429, problems.MEDIA_TYPE, body, header)
        assert (passed_on.details.dependency, passed_on.details.retry_after_s) == ("provider", pause_s)


def _chunk(text: str) -> str:
    choice = ChunkChoice(delta=Delta(content=text))
    return msgspec.json.encode(Chunk(id="c", created=0, model="m", choices=[choice])).decode()


async def _read(stream: bytes, piece: int = 1) -> list[str | None]:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(stream), piece):
            yield stream[start : start + piece]

    response = httpx.Response(200, content=pieces())
    return [part.chunk.choices[0].delta.content async for part in completion_parts("gateway", response)]


@given(st.lists(st.text()), st.integers(1, 50), st.sampled_from(["\n", "\r\n"]))
async def test_streams_are_read_to_their_mark(texts: list[str], piece: int, end: str) -> None:
    """Events come whole however the bytes are cut; comments, ids and retry times are passed over."""
    events = [f"data: {_chunk(text)}\n\n" for text in texts]
    stream = ": comment\n\nid: 7\nretry: 100\n" + "".join(events) + f"data: {STREAM_DONE}\n\n"
    assert await _read(stream.replace("\n", end).encode(), piece) == texts


async def test_an_event_may_have_several_lines() -> None:
    """Lines of data are one text with line ends between them."""
    first, second = _chunk("one").split(",", 1)
    assert await _read(f"data: {first},\ndata:{second}\n\ndata: {STREAM_DONE}\n\n".encode()) == ["one"]


@pytest.mark.parametrize(
    ("stream", "dependency", "code"),
    [
        (f"data: {_chunk('one')}\n\n".encode(), "gateway", "dependency_error"),
        (f"data: {STREAM_DONE}\n".encode(), "gateway", "dependency_error"),
        (b"", "gateway", "dependency_error"),
        (b"event: error\ndata: nonsense\n\n", "gateway", "dependency_error"),
        (
            b"event: error\ndata: " + msgspec.json.encode(problems.timed_out("provider", "late").details) + b"\n\n",
            "provider",
            "dependency_timeout",
        ),
    ],
)
async def test_streams_that_fail(stream: bytes, dependency: str, code: str) -> None:
    """A stream without its mark was cut; an error event names the root."""
    with pytest.raises(Problem) as raised:
        await _read(stream)
    assert (raised.value.details.dependency, raised.value.details.code) == (dependency, code)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"id": "c", "created": 0\n\n',
        b'data: {"error": {"message": "overloaded"}}\n\n',
        _chunk("no field").encode() + b"\n\n",
        f"dat: {_chunk('misspelt')}\n\n".encode(),
        f"data: {_chunk('two in')}\ndata: {_chunk('one')}\n\n".encode(),
        f"data: {_chunk('caf?')}\n\n".encode().replace(b"?", b"\xe9"),
    ],
)
async def test_events_that_cannot_be_read_fail_the_stream(event: bytes) -> None:
    """Broken JSON, broken framing and broken text are told, although the stream goes on to its mark."""
    good = f"data: {_chunk('good')}\n\n".encode()
    with pytest.raises(Problem, match="dependency_error: an event of the stream cannot be read"):
        await _read(good + event + good + f"data: {STREAM_DONE}\n\n".encode())


@given(st.text())
def test_splitting_keeps_the_words(text: str) -> None:
    """No word is lost or doubled, and there is always a chunk."""
    chunks = split_text(text)
    assert " ".join(chunks).split() == text.split()
    assert chunks


def _late(dependency: str) -> problems.ProblemDetails:
    with pytest.raises(Problem) as raised, spending.waiting_for(dependency):
        raise problems.timed_out(dependency, "late")
    return raised.value.details


def test_running_out_of_time_is_blamed_on_who_used_it() -> None:
    """A call that had too little time left names the dependency that took it, through hops as well."""
    with spending.counted():
        spending.add("postgres", 900)
        assert (_late("gateway").dependency, _late("gateway").code) == ("postgres", "dependency_timeout")
        spending.add("gateway", 2000)
        assert _late("gateway").dependency == "gateway"
    with spending.counted():
        spending.add("rag", 1000)
        spending.add_below("rag", "postgres;dur=950.5, gateway;dur=20")
        assert spending.server_timing() == "rag;dur=29.5, postgres;dur=950.5, gateway;dur=20.0"
        assert _late("gateway").dependency == "postgres"
    assert _late("gateway").dependency == "gateway"


def test_other_failures_keep_their_name() -> None:
    """Only timeouts are a matter of who used the time."""
    with spending.counted():
        spending.add("postgres", 900)
        with pytest.raises(Problem) as raised, spending.waiting_for("gateway"):
            raise problems.unavailable("gateway", "refused")
    assert raised.value.details.dependency == "gateway"
