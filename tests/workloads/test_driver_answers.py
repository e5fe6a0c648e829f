"""Answers and effects: tables of what came over the wire and what it means."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.operation import Answer, AnswerKind, EffectState
from chaos.workloads.answers import driver_failure, excerpt, http_answer, problem_answer, read_problem
from chaos.workloads.effects import effect_of

ERROR, OK, ACCEPTED, NONE = AnswerKind.ERROR, AnswerKind.OK, AnswerKind.ACCEPTED, AnswerKind.NONE
APPLIED, NOT_APPLIED, UNKNOWN, READ = (
    EffectState.APPLIED,
    EffectState.NOT_APPLIED,
    EffectState.UNKNOWN,
    EffectState.READ,
)
PROBLEM = "application/problem+json; charset=utf-8"


@pytest.mark.parametrize(
    ("answer", "effect"),
    [
        (Answer(kind=OK, status=201), APPLIED),
        (Answer(kind=OK), APPLIED),
        (Answer(kind=ERROR, status=422, code="invalid_request"), NOT_APPLIED),
        (Answer(kind=ERROR, status=404), NOT_APPLIED),
        (Answer(kind=ERROR, status=429), NOT_APPLIED),
        (Answer(kind=ERROR, status=429, dependency="provider"), UNKNOWN),
        (Answer(kind=ERROR, status=422, dependency="postgres"), UNKNOWN),
        (Answer(kind=ERROR, status=408), UNKNOWN),
        (Answer(kind=ERROR, status=409, code="conflict"), UNKNOWN),
        (Answer(kind=ERROR, status=500), UNKNOWN),
        (Answer(kind=ERROR, status=503, code="dependency_unavailable", dependency="postgres"), UNKNOWN),
        (Answer(kind=ERROR, status=504, code="deadline_exceeded"), UNKNOWN),
        (Answer(kind=ERROR, status=302), UNKNOWN),
        (Answer(kind=ERROR), UNKNOWN),
        (driver_failure("connect-refused", ""), NOT_APPLIED),
        (driver_failure("connection-reset", ""), UNKNOWN),
        (driver_failure("closed", ""), UNKNOWN),
        (driver_failure("protocol", ""), UNKNOWN),
        (Answer(kind=ACCEPTED), UNKNOWN),
        (Answer(kind=NONE), UNKNOWN),
    ],
)
def test_effect_table(answer: Answer, effect: EffectState) -> None:
    """What became of a write with that answer; whatever it is, a read has no effect."""
    assert effect_of(answer, writes=True) is effect
    assert effect_of(answer, writes=False) is READ


def test_a_message_handed_on_proves_no_effect() -> None:
    """Ok says that it was taken, not that it was done; an error says as much as ever."""
    assert effect_of(Answer(kind=OK), writes=True, proven=False) is UNKNOWN
    assert effect_of(driver_failure("connect-refused", ""), writes=True, proven=False) is NOT_APPLIED


answers = st.builds(
    Answer,
    kind=st.sampled_from(list(AnswerKind)),
    status=st.none() | st.integers(min_value=100, max_value=599),
    code=st.none() | st.sampled_from(["connect-refused", "connection-reset", "internal"]),
    dependency=st.none() | st.just("postgres"),
    layer=st.sampled_from(["system", "driver"]),
)


@given(answers)
def test_unknown_never_becomes_not_applied(answer: Answer) -> None:
    """Not applied needs an error that proves it: nothing was sent, or the service itself refused with a 4xx."""
    if effect_of(answer, writes=True) is NOT_APPLIED:
        refused = answer.layer == "system" and answer.status is not None and 400 <= answer.status < 500
        unsent = answer.layer == "driver" and answer.code == "connect-refused"
        assert answer.kind is ERROR
        assert refused or unsent


def test_problem_details_become_an_answer() -> None:
    """Code, dependency, detail and retryable are taken over; the status is the transport's."""
    members = {
        "status": 500,
        "title": "t",
        "detail": "no pool",
        "code": "dependency_unavailable",
        "dependency": "postgres",
    }
    body = msgspec.json.encode({**members, "retryable": True, "trace_id": "x"})
    answer = http_answer(503, PROBLEM, body, retry_after="2")
    assert answer == Answer(
        kind=ERROR,
        status=503,
        code="dependency_unavailable",
        dependency="postgres",
        detail="no pool",
        retryable=True,
        retry_after_s=2.0,
    )


@pytest.mark.parametrize(
    ("content_type", "body", "detail"),
    [
        ("text/plain", b"Internal Server Error", "Internal Server Error"),
        ("application/json", b'{"code": "internal", "dependency": "x"}', '{"code": "internal", "dependency": "x"}'),
        (PROBLEM, b"{", "{"),
        (PROBLEM, b"\xff\xfe", "\ufffd\ufffd"),
        ("text/html", b"", None),
        ("text/html", b"a\x1b[31m\r\n\tb\x00", "a [31m b"),
    ],
)
def test_other_bodies_are_a_status_and_an_excerpt(content_type: str, body: bytes, detail: str | None) -> None:
    """Without readable problem details nothing but the status is believed."""
    assert http_answer(500, content_type, body) == Answer(kind=ERROR, status=500, detail=detail)


def test_members_of_another_type_are_ignored() -> None:
    """RFC 9457, 3.1: a consumer ignores members whose values do not match."""
    problem = read_problem({"status": True, "code": 7, "detail": ["x"], "dependency": "nats", "retryable": 1})
    assert problem == read_problem({"dependency": "nats"})
    assert read_problem(["no", "object"]) == read_problem({})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 3.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """Seconds or an HTTP date (from Unix time 7 here); anything else is as good as none."""
    assert http_answer(429, "text/plain", b"", retry_after=value, wall_s=7.0).retry_after_s == seconds


@given(st.binary(max_size=3000), st.integers(min_value=100, max_value=599), st.text(max_size=50))
def test_no_body_is_too_odd(body: bytes, status: int, content_type: str) -> None:
    """Any bytes under any status and type give an answer with a short readable detail."""
    for kind in (content_type, PROBLEM):
        answer = http_answer(status, kind, body)
        assert (answer.kind is OK) == (200 <= status < 300)
        assert len(answer.detail or "") <= 200
        assert (
            (answer.detail or "").isprintable()
            or "\ufffd" in (answer.detail or "")
            or not (answer.detail or "").isascii()
        )


@given(st.text(max_size=2000) | st.binary(max_size=2000))
def test_excerpts_are_one_short_line(text: str | bytes) -> None:
    """At most 200 characters and never a control character."""
    short = excerpt(text)
    assert len(short) <= 200
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in short)


def test_retry_after_without_a_header() -> None:
    """On NATS and in a stream the problem itself holds the pause; over HTTP only the header counts."""
    problem = read_problem({"status": 429, "retry_after_s": 2.0})
    assert problem_answer(problem).retry_after_s == 2.0
    assert http_answer(429, PROBLEM, b'{"retry_after_s": 2.0}').retry_after_s is None
