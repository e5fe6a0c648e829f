"""Errors as RFC 9457 problem details, the same over HTTP and inside NATS envelopes.

`dependency` names the root of the failure: an answer from below is passed upward with its code and dependency kept;
a hop that cannot reach or hear its own callee names that callee.
"""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime

import msgspec

__all__ = [
    "MEDIA_TYPE",
    "Problem",
    "ProblemDetails",
    "broken",
    "conflict",
    "deadline_exceeded",
    "from_answer",
    "from_exception",
    "internal",
    "invalid_request",
    "retry_after_s",
    "timed_out",
    "unavailable",
]

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_TITLES = {
    "dependency_unavailable": (503, "A dependency is unavailable"),
    "dependency_timeout": (504, "A dependency did not answer in time"),
    "dependency_error": (502, "A dependency failed"),
    "rate_limited": (429, "Too many requests"),
    "deadline_exceeded": (504, "The deadline has passed"),
    "invalid_request": (422, "The request is not valid"),
    "conflict": (409, "The request conflicts with an earlier one"),
    "internal": (500, "The service failed"),
}
_CODE_OF_STATUS = {
    408: "dependency_timeout",
    429: "rate_limited",
    503: "dependency_unavailable",
    504: "dependency_timeout",
}
_RETRYABLE = frozenset({"dependency_unavailable", "dependency_timeout", "rate_limited"})
# What a callee blames its caller for and is the mistake of the caller's caller. An invalid request is not: each service
# checks what it is asked before it asks others, so a refusal is either a mistake of theirs or damage on the way.
_OF_THE_CALLER = frozenset({"conflict"})
_LONGEST_PAUSE_S = 366 * 86_400.0


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a problem details object (RFC 9457, section 3, and our extensions).

    `retry_after_s` is the pause a dependency asked for: here as well as in the header, because NATS has no such header.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    dependency: str | None = None
    retryable: bool = False
    retry_after_s: float | None = None
    trace_id: str = ""


class Problem(Exception):  # noqa: N818 - the term of RFC 9457
    """A failure with its details, raised where it is noticed and rendered at the edge of the service."""

    def __init__(self, details: ProblemDetails) -> None:
        super().__init__(f"{details.code}: {details.detail}")
        self.details = details

    def __repr__(self) -> str:
        return f"<Problem {self.details.status} {self.details.code} dependency={self.details.dependency}>"

    @classmethod
    def of(
        cls,
        code: str,
        detail: str,
        *,
        dependency: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
    ) -> Problem:
        """A problem by its code; status and retryable follow from the code unless given."""
        usual_status, title = _TITLES[code]
        details = ProblemDetails(
            type=f"urn:problem:{code}",
            title=title,
            status=status or usual_status,
            detail=detail,
            code=code,
            dependency=dependency,
            retryable=code in _RETRYABLE if retryable is None else retryable,
            retry_after_s=retry_after_s,
        )
        return cls(details)


def unavailable(dependency: str, detail: str) -> Problem:
    """The dependency cannot be reached; nothing was sent."""
    return Problem.of("dependency_unavailable", detail, dependency=dependency)


def timed_out(dependency: str, detail: str) -> Problem:
    """The dependency did not answer within the time it had."""
    return Problem.of("dependency_timeout", detail, dependency=dependency)


def broken(dependency: str, detail: str, *, retryable: bool = False) -> Problem:
    """The dependency answered nonsense or an error, or its connection broke (then another attempt may help)."""
    return Problem.of("dependency_error", detail, dependency=dependency, retryable=retryable)


def deadline_exceeded(dependency: str | None, detail: str) -> Problem:
    """The budget of the operation is used up."""
    return Problem.of("deadline_exceeded", detail, dependency=dependency)


def invalid_request(detail: str, *, status: int | None = None) -> Problem:
    """The caller's request cannot be served as it is."""
    return Problem.of("invalid_request", detail, status=status)


def conflict(detail: str, *, dependency: str | None = None, retryable: bool = False) -> Problem:
    """The request contradicts an earlier one, or lost a race (then retryable)."""
    return Problem.of("conflict", detail, dependency=dependency, retryable=retryable)


def internal(detail: str = "unexpected failure; see the service's log") -> Problem:
    """A mistake in this service."""
    return Problem.of("internal", detail)


def from_exception(error: Exception) -> Problem:
    """What an edge of a service tells for an exception: a Problem as it is, anything else as our own mistake."""
    if isinstance(error, Problem):
        return error
    log.error("unexpected failure", exc_info=error)
    return internal()


def from_answer(callee: str, status: int, content_type: str, body: bytes, retry_after: str | None) -> Problem:
    """The problem to raise for an error answer of a callee: its own root cause if it names one, else the callee."""
    details = _details(content_type, body)
    pause_s = retry_after_s(retry_after)
    if details is None:
        code = _CODE_OF_STATUS.get(status, "dependency_error")
        return Problem.of(code, f"{callee} answered {status}", dependency=callee, retry_after_s=pause_s)
    if pause_s is None:
        pause_s = details.retry_after_s
    if details.dependency is not None or details.code in _OF_THE_CALLER:
        return Problem(msgspec.structs.replace(details, retry_after_s=pause_s))
    code = "dependency_error" if details.code in ("internal", "invalid_request") else details.code
    detail = f"{callee} answered {status}: {details.detail}"
    return Problem.of(code, detail, dependency=callee, retry_after_s=pause_s)


def retry_after_s(text: str | None) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3) as seconds from now; what is neither asks for nothing."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return min(float(text), _LONGEST_PAUSE_S)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _details(content_type: str, body: bytes) -> ProblemDetails | None:
    if not content_type.startswith(MEDIA_TYPE):
        return None
    try:
        details = msgspec.json.decode(body, type=ProblemDetails)
    except msgspec.MsgspecError:
        return None
    return details if details.code in _TITLES else None
