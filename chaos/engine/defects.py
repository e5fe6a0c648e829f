"""The defects of the reference backend as the tool knows them: which drill finds each, and by which oracle."""

from __future__ import annotations

from chaos.model.base import Data

__all__ = ["DEFECTS", "Defect"]


class Defect(Data, frozen=True, kw_only=True):
    """One switchable defect. `oracles` are those that must say VIOLATED in `scenario`."""

    name: str
    error_class: str
    about: str
    scenario: str
    oracles: tuple[str, ...]


DEFECTS: tuple[Defect, ...] = (
    Defect(
        name="no-http-timeout",
        error_class="timeout",
        about="HTTP calls wait without a timeout and without looking at the budget: a hanging provider hangs everybody.",
        scenario="provider-hanging",
        oracles=("bounded",),
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
        oracles=("error-class",),
    ),
    Defect(
        name="consumer-dead-after-reconnect",
        error_class="no recovery",
        about="The agent's task consumer ends with the first connection loss and is never started again.",
        scenario="nats-lost",
        oracles=("recovers",),
    ),
    Defect(
        name="other-tenant-answer",
        error_class="answer of another tenant",
        about="When a dependency fails, the RAG service gives out its latest good answer, whoever that was for.",
        scenario="provider-refusing",
        oracles=("ok-means-ok",),
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
    Defect(
        name="budget-not-passed-on",
        error_class="budget",
        about="Callees are told the whole of the caller's own timeout instead of what remains of the budget.",
        scenario="smoke",
        oracles=("budget",),
    ),
    Defect(
        name="duplicate-effect-on-retry",
        error_class="duplicate effect",
        about="A document whose COMMIT got no reply is written again under another key: it is stored and announced twice.",
        scenario="acks-lost",
        oracles=("exactly-once",),
    ),
    Defect(
        name="no-dedup-on-redelivery",
        error_class="duplicate effect",
        about="A task that NATS delivers again is performed, stored and announced again.",
        scenario="acks-lost",
        oracles=("exactly-once",),
    ),
    Defect(
        name="ack-before-processing",
        error_class="lost effect",
        about="A task is acknowledged before it is done: if it fails then, nobody delivers it again.",
        scenario="acks-lost",
        oracles=("exactly-once",),
    ),
    Defect(
        name="uncapped-retry",
        error_class="retry without cap",
        about="The gateway tries a model call again and again until its budget is used up.",
        scenario="provider-busy",
        oracles=("retry-bound",),
    ),
    Defect(
        name="retry-without-pause",
        error_class="retry without pause",
        about="The gateway's attempts at a model call follow each other at once.",
        scenario="provider-busy",
        oracles=("retry-bound",),
    ),
    Defect(
        name="retry-after-ignored",
        error_class="Retry-After ignored",
        about="A provider that asks for a pause is asked again before it is over.",
        scenario="provider-busy",
        oracles=("retry-bound",),
    ),
    Defect(
        name="shared-breaker",
        error_class="shared breaker",
        about="The gateway's lost connection to NATS opens a breaker for model calls over HTTP, too.",
        scenario="nats-lost",
        oracles=("isolation",),
    ),
)
