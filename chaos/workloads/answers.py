"""Answers from what came over the wire: problem details (RFC 9457), plain statuses, and failures at the driver."""

from __future__ import annotations

import email.utils
import re

import msgspec

from chaos.model.operation import Answer, AnswerKind

__all__ = ["PROBLEM_JSON", "Problem", "driver_failure", "excerpt", "http_answer", "problem_answer", "read_problem"]

EXCERPT_CHARS = 200
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
PROBLEM_JSON = "application/problem+json"
"""Media type of problem details."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details (RFC 9457) with the extensions `code`, `dependency`, `retryable` and `retry_after_s`; members of another type count as absent."""

    status: int | None = None
    title: str | None = None
    detail: str | None = None
    code: str | None = None
    dependency: str | None = None
    retryable: bool | None = None
    retry_after_s: float | None = None


def excerpt(text: str | bytes) -> str:
    """At most 200 characters on one line, without control characters."""
    readable = (
        text[: 4 * EXCERPT_CHARS].decode("utf-8", "replace") if isinstance(text, bytes) else text[: 4 * EXCERPT_CHARS]
    )
    folded = _UNPRINTABLE.sub(" ", readable).strip()
    return folded if len(folded) <= EXCERPT_CHARS else folded[: EXCERPT_CHARS - 3] + "..."


def read_problem(data: object) -> Problem:
    """The problem in a decoded JSON value. RFC 9457: a member of the wrong type is ignored."""
    members = data if isinstance(data, dict) else {}
    types: dict[str, type] = {
        "status": int,
        "title": str,
        "detail": str,
        "code": str,
        "dependency": str,
        "retryable": bool,
        "retry_after_s": float,
    }
    return Problem(**{name: members[name] for name, kind in types.items() if type(members.get(name)) is kind})


def problem_answer(problem: Problem, *, status: int | None = None, retry_after_s: float | None = None) -> Answer:
    """An error answer. Where the transport has a status of its own, it and its header count; else what the body says."""
    return Answer(
        kind=AnswerKind.ERROR,
        status=problem.status if status is None else status,
        code=None if problem.code is None else excerpt(problem.code),
        dependency=None if problem.dependency is None else excerpt(problem.dependency),
        detail=excerpt(problem.detail or problem.title or "") or None,
        retryable=problem.retryable,
        retry_after_s=problem.retry_after_s if status is None else retry_after_s,
    )


def http_answer(
    status: int, content_type: str, body: bytes, *, retry_after: str | None = None, wall_s: float = 0.0
) -> Answer:
    """The answer of a whole HTTP response; `wall_s` is Unix time, for a Retry-After that names a date."""
    if 200 <= status < 300:
        return Answer(kind=AnswerKind.OK, status=status)
    pause_s = _retry_after_s(retry_after, wall_s)
    if content_type.partition(";")[0].strip().lower() == PROBLEM_JSON:
        try:
            return problem_answer(read_problem(msgspec.json.decode(body)), status=status, retry_after_s=pause_s)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # a problem that cannot be read is a body like any other
    return Answer(kind=AnswerKind.ERROR, status=status, detail=excerpt(body) or None, retry_after_s=pause_s)


def driver_failure(code: str, detail: str) -> Answer:
    """No answer of the system but a failure at the driver: connect-refused, connection-reset, closed or protocol."""
    return Answer(kind=AnswerKind.ERROR, code=code, detail=excerpt(detail) or None, layer="driver")


def _retry_after_s(value: str | None, wall_s: float) -> float | None:
    """RFC 9110, 10.2.3: seconds or an HTTP date; anything else is as good as none."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - wall_s)
    except (ValueError, OverflowError):
        return None
