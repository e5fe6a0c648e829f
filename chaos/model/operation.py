"""Operations: what the driver asked, what it was answered, and what may have come of it."""

from __future__ import annotations

from enum import StrEnum

from chaos.model.base import Data

__all__ = ["Answer", "AnswerKind", "EffectState", "Operation", "Unmet"]


class AnswerKind(StrEnum):
    """What the caller got. `accepted` is a PubAck whose completion never came within the wait; a 202 that nothing completes is `ok`."""

    OK = "ok"
    ERROR = "error"
    ACCEPTED = "accepted"
    NONE = "none"


class EffectState(StrEnum):
    """What came of a write, as far as the answer tells. Never turn unknown into not-applied."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    UNKNOWN = "unknown"
    READ = "read"  # the operation writes nothing


class Answer(Data, frozen=True, kw_only=True):
    """The answer as received. `dependency`, `code`, `detail` come from problem details (RFC 9457) where there are any.

    `layer` says who produced an error: `system` (an answer of the system) or `driver` (connect refused, reset, timed out at the
    driver: `code` then names the failure, such as connect-refused, connection-reset, closed, protocol). `detail` is at most 200 characters.
    """

    kind: AnswerKind
    status: int | None = None
    code: str | None = None
    dependency: str | None = None
    detail: str | None = None
    layer: str = "system"
    retry_after_s: float | None = None
    retryable: bool | None = None
    degraded: bool = False


class Unmet(Data, frozen=True, kw_only=True):
    """A declaration of the workload's content that an ok answer did not meet. `seen` is at most 200 characters."""

    check: str
    expected: str
    seen: str


class Operation(Data, frozen=True, kw_only=True):
    """One unit of workload. Times are CLOCK_MONOTONIC nanoseconds; `end_ns` is 0 when no answer came within the wait.

    `accepted_ns` is when a PubAck or 202 came (work that is done later), else 0. `route` holds the links this operation may use.
    `deadline_ms` is D, the budget sent; the driver itself waits until D + max(2 s, D).
    """

    op_id: str
    workload: str
    name: str
    index: int
    intended_ns: int
    start_ns: int
    end_ns: int
    deadline_ms: float
    answer: Answer
    effect: EffectState
    trace_id: str
    route: tuple[str, ...]
    accepted_ns: int = 0
    first_byte_ns: int = 0
    tenant: str | None = None
    probe: bool = False
    asynchronous: bool = False
    unmet: tuple[Unmet, ...] = ()

    @property
    def ok(self) -> bool:
        """True for an ok answer, whatever its content."""
        return self.answer.kind is AnswerKind.OK

    @property
    def latency_ms(self) -> float | None:
        """From the intended start to the answer (open-loop), or None without an answer."""
        return (self.end_ns - self.intended_ns) / 1e6 if self.end_ns else None
