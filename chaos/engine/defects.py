"""The defects of the reference backend as the tool knows them: which drill finds each, and by which oracle."""

from __future__ import annotations

from chaos.model.base import Data

__all__ = ["DEFECTS", "Defect"]


class Defect(Data, frozen=True, kw_only=True):
    """One switchable defect. `oracles` are those that must say VIOLATED in `scenario`, `also` other drills that find it.

    `may` are oracles that say so too where what the defect leads to goes that far, as on a busy machine; no others may.
    """

    name: str
    error_class: str
    about: str
    scenario: str
    oracles: tuple[str, ...]
    also: dict[str, tuple[str, ...]] = {}
    may: tuple[str, ...] = ()

    @property
    def found_by(self) -> dict[str, tuple[str, ...]]:
        """Every drill that must find it, with the oracles that must say so."""
        return {self.scenario: self.oracles, **self.also}


DEFECTS: tuple[Defect, ...] = (
    Defect(
        name="no-http-timeout",
        error_class="timeout",
        about="HTTP calls wait without a timeout and without looking at the budget: a hanging provider hangs everybody.",
        scenario="provider-hanging",
        oracles=("bounded",),
        also={"stalled-stream": ("bounded",)},
    ),
    Defect(
        name="swallowed-error",
        error_class="swallowed error",
        about="The RAG service turns a failed dependency into a 200 with an empty or canned answer.",
        scenario="provider-refusing",
        oracles=("ok-means-ok",),
    ),
    Defect(
        name="generic-500",
        error_class="lost error class",
        about="The API turns every failed dependency into 500 internal, naming nobody.",
        scenario="provider-refusing",
        oracles=("error-class", "cause-kept"),
    ),
    Defect(
        name="wrong-blame",
        error_class="wrong blame",
        about="A failed dependency is answered as 422: the caller is blamed for it.",
        scenario="slow-postgres",
        oracles=("error-class", "cause-kept"),
    ),
    Defect(
        name="consumer-dead-after-reconnect",
        error_class="no recovery",
        about="The agent's task consumer ends with the first connection loss and is never started again.",
        scenario="nats-lost",
        oracles=("recovers", "bounded"),
    ),
    Defect(
        name="other-tenant-answer",
        error_class="answer of another tenant",
        about="When a dependency fails, the RAG service gives out its latest good answer, whoever that was for.",
        scenario="provider-refusing",
        oracles=("ok-means-ok",),
    ),
    Defect(
        name="no-pool-acquire-timeout",
        error_class="timeout on the pool",
        about="Callers wait for a connection of the pool without a timeout: one dead connection after the other holds them.",
        scenario="half-open",
        oracles=("bounded",),
        # Tasks that waited behind the held ones are begun late, and blame the callee that they leave no time.
        may=("cause-kept",),
    ),
    Defect(
        name="uncapped-retry",
        error_class="retry without a cap",
        about="The gateway retries a failing provider for as long as the budget lasts.",
        scenario="provider-overloaded",
        oracles=("retry-bound",),
    ),
    Defect(
        name="retry-without-pause",
        error_class="retry without a pause",
        about="The gateway's attempts follow each other at once.",
        scenario="provider-overloaded",
        oracles=("retry-bound",),
    ),
    Defect(
        name="retry-after-ignored",
        error_class="Retry-After ignored",
        about="The gateway tries again before the pause is over that the provider asked for.",
        scenario="rate-limited",
        oracles=("retry-bound",),
    ),
    Defect(
        name="duplicate-effect-on-retry",
        error_class="duplicate effect",
        about="A document whose COMMIT got no reply is written again without looking: stored and announced twice.",
        scenario="commit-reply-lost",
        oracles=("exactly-once",),
    ),
    Defect(
        name="announcement-without-id",
        error_class="duplicate effect",
        about="The outbox publishes without a message id: what is published again is stored again.",
        scenario="puback-lost",
        oracles=("exactly-once",),
    ),
    Defect(
        name="ack-before-processing",
        error_class="lost effect",
        about="The agent acknowledges a task on receipt: one that fails afterwards is lost.",
        scenario="task-connection-cut",
        oracles=("exactly-once", "bounded"),
    ),
    Defect(
        name="no-dedup-on-redelivery",
        error_class="duplicate effect",
        about="The agent works off, stores and announces a task again when it is delivered again.",
        scenario="ack-lost",
        oracles=("exactly-once", "retry-bound"),
        also={"redelivery": ("exactly-once",)},
    ),
    Defect(
        name="cut-stream-as-complete",
        error_class="cut stream passed on",
        about="The gateway ends a stream that broke off as if it were complete.",
        scenario="stream-cut",
        oracles=("ok-means-ok", "cause-kept"),
    ),
    Defect(
        name="malformed-event-skipped",
        error_class="damaged stream passed on",
        about="The gateway leaves out an event that it cannot read and passes on the rest.",
        scenario="malformed-event",
        oracles=("ok-means-ok",),
    ),
    Defect(
        name="shared-breaker",
        error_class="shared breaker",
        about="A lost connection to NATS opens a breaker for model calls over HTTP, too.",
        scenario="nats-lost",
        oracles=("isolation", "error-class"),
    ),
    Defect(
        name="budget-not-passed-on",
        error_class="budget",
        about="Callees are told the whole of the caller's own timeout instead of what remains of the budget.",
        scenario="smoke",
        oracles=("budget",),
    ),
    Defect(
        name="traceparent-dropped-on-publish",
        error_class="broken trace",
        about="Messages published to JetStream carry no traceparent.",
        scenario="smoke",
        oracles=("trace-context",),
    ),
    Defect(
        name="header-copied-unchanged",
        error_class="broken trace",
        about="The agent's calls carry the traceparent that came in: this hop is missing from the trace.",
        scenario="smoke",
        oracles=("trace-parent",),
    ),
)
