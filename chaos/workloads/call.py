"""One operation in flight: who it is, what it asks about, and the times its parts note on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.model.operation import Answer, Unmet
from chaos.model.plain import BUDGET_HEADER
from chaos.schedule import stream_rng
from chaos.workloads import identity
from chaos.workloads.corpus import NO_DOCUMENT, Corpus, SeedDocument

__all__ = ["Call", "Outcome", "new_call", "plain_call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation came to: its answer, and the declarations an ok answer did not meet.

    `proves_effect` is False where an ok answer does not say that the work is done, only that it was passed on. `bare` is the answer by its
    status alone, where the scenario expects one that is no success: what became of a write is told by that.
    """

    answer: Answer
    unmet: tuple[Unmet, ...] = ()
    proves_effect: bool = True
    bare: Answer | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """An operation under way. The `*_ns` are CLOCK_MONOTONIC and 0 until they happened."""

    op_id: str
    trace_id: str
    span_id: str
    nonce: str
    document: SeedDocument
    deadline_ms: float
    seed: int = 0
    workload: str = ""
    index: int = 0
    budget_header: str | None = BUDGET_HEADER
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    accepted_ns: int = 0
    first_byte_ns: int = 0
    ended_ns: int = 0

    @property
    def tenant(self) -> str:
        """The tenant on whose behalf it asks."""
        return self.document.tenant

    @property
    def wait_s(self) -> float:
        """How long the driver waits: D + max(2 s, D). One that gave up at D could not tell late from never."""
        return (self.deadline_ms + max(2000.0, self.deadline_ms)) / 1000.0

    def headers(self) -> dict[str, str]:
        """Trace context and budget, the same on HTTP and NATS."""
        headers = {
            "traceparent": identity.traceparent(self.trace_id, self.span_id),
            "baggage": identity.baggage(self.op_id),
        }
        if self.budget_header is not None:
            headers[self.budget_header] = str(int(self.deadline_ms))
        return headers

    def queued_headers(self) -> dict[str, str]:
        """Those of a message that may wait in a queue: the deadline in wall-clock milliseconds too."""
        headers = self.headers()
        if self.budget_header is not None:
            headers["X-Deadline-Unix-Ms"] = str(int(time.time() * 1000 + self.deadline_ms))
        return headers

    def accepted(self) -> None:
        """Note that the system took the work on."""
        self.accepted_ns = time.monotonic_ns()

    def ended(self) -> None:
        """Note that the whole answer is here, or that there will be none."""
        self.ended_ns = time.monotonic_ns()

    def received(self) -> None:
        """Note bytes of the answer; only the first count."""
        self.first_byte_ns = self.first_byte_ns or time.monotonic_ns()


def new_call(seed: int, op_id: str, deadline_ms: float, corpus: Corpus) -> Call:
    """The call of an operation: everything in it is a function of the seed and the op id."""
    return Call(
        op_id=op_id,
        trace_id=identity.trace_id(seed, op_id),
        span_id=identity.root_span_id(seed, op_id),
        nonce=identity.nonce(seed, op_id),
        document=corpus.draw(stream_rng(seed, op_id, "document")),
        deadline_ms=deadline_ms,
    )


def plain_call(
    seed: int,
    op_id: str,
    deadline_ms: float,
    *,
    workload: str,
    index: int,
    budget_header: str | None = BUDGET_HEADER,
    environment: Mapping[str, str] | None = None,
) -> Call:
    """The call of a plain operation, which asks about no document."""
    return Call(
        op_id=op_id,
        trace_id=identity.trace_id(seed, op_id),
        span_id=identity.root_span_id(seed, op_id),
        nonce=identity.nonce(seed, op_id),
        document=NO_DOCUMENT,
        deadline_ms=deadline_ms,
        seed=seed,
        workload=workload,
        index=index,
        budget_header=budget_header,
        environment=environment or {},
    )
