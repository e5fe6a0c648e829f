"""The named defects this backend can be started with (`CHAOS_DEFECTS=name,name`); none by default.

Each one is a single `if defects.on("name")` with the correct and the defective path side by side.
"""

from __future__ import annotations

import msgspec

__all__ = ["DEFECTS", "Defect", "Defects"]


class Defect(msgspec.Struct, frozen=True, kw_only=True):
    """One defect: its switch, the class of mistake it stands for, and what a caller would see."""

    name: str
    kind: str
    services: tuple[str, ...]
    summary: str


DEFECTS = (
    Defect(
        name="no-http-timeout",
        kind="no timeout on HTTP",
        services=("gateway", "rag", "agent", "api"),
        summary="HTTP calls wait without a timeout and do not pass the budget on: a hanging provider hangs everyone",
    ),
    Defect(
        name="swallowed-error",
        kind="swallowed error",
        services=("rag",),
        summary="a failed search or model call becomes a 200 with a canned answer and no sources",
    ),
    Defect(
        name="generic-500",
        kind="generic 500",
        services=("api",),
        summary="every failure of a dependency becomes 500 'internal error' that names nobody",
    ),
    Defect(
        name="wrong-blame",
        kind="wrong blame",
        services=("api",),
        summary="a failure of a dependency becomes 422 and blames the caller's request",
    ),
    Defect(
        name="consumer-dead-after-reconnect",
        kind="consumer dead after reconnect",
        services=("agent",),
        summary="the consumer of the task queue ends with the first lost connection and nobody starts it again",
    ),
    Defect(
        name="uncapped-retry",
        kind="retry without cap",
        services=("gateway",),
        summary="model calls are tried again until the budget is used up",
    ),
    Defect(
        name="retry-without-pause",
        kind="retry without pause",
        services=("gateway",),
        summary="the attempts at a model call follow each other at once",
    ),
    Defect(
        name="retry-after-ignored",
        kind="Retry-After ignored",
        services=("gateway",),
        summary="a provider that asks for a pause is asked again before it is over",
    ),
    Defect(
        name="cut-stream-as-complete",
        kind="cut stream passed on as complete",
        services=("gateway",),
        summary="a stream that breaks in the middle is ended with its terminal marker",
    ),
    Defect(
        name="malformed-event-skipped",
        kind="swallowed error",
        services=("gateway",),
        summary="an event of a stream that cannot be read is left out, and the rest passed on",
    ),
    Defect(
        name="shared-breaker",
        kind="breaker shared by unrelated dependencies",
        services=("gateway",),
        summary="a lost connection to NATS opens a breaker for model calls over HTTP as well",
    ),
    Defect(
        name="duplicate-effect-on-retry",
        kind="duplicate effect on retry",
        services=("rag",),
        summary="a document whose COMMIT got no reply is written again under another key: stored and announced twice",
    ),
    Defect(
        name="announcement-without-id",
        kind="duplicate effect on retry",
        services=("rag", "agent"),
        summary="announcements are published without a message id: one whose acknowledgement was lost is stored twice",
    ),
    Defect(
        name="ack-before-processing",
        kind="ack before processing",
        services=("agent",),
        summary="a queued task is acknowledged on receipt; if it fails then, it is lost",
    ),
    Defect(
        name="no-dedup-on-redelivery",
        kind="no de-duplication on redelivery",
        services=("agent",),
        summary="a task that is delivered again is performed, stored and announced again",
    ),
    Defect(
        name="no-pool-acquire-timeout",
        kind="no timeout on pool acquire",
        services=("rag", "agent"),
        summary="waiting for Postgres and for a free connection to it has no timeout and heeds no deadline",
    ),
    Defect(
        name="other-tenant-answer",
        kind="answer of another tenant from the cache",
        services=("rag",),
        summary="when a dependency fails a question is answered with the latest good answer, whose tenant is not looked at",
    ),
    Defect(
        name="budget-not-passed-on",
        kind="budget not passed on",
        services=("gateway", "rag", "agent"),
        summary="callees are told the whole of the caller's own timeout instead of what remains of the budget",
    ),
    Defect(
        name="header-copied-unchanged",
        kind="header copied unchanged",
        services=("agent",),
        summary="calls carry the traceparent that came in: this hop is missing from the trace",
    ),
    Defect(
        name="traceparent-dropped-on-publish",
        kind="traceparent dropped on publish",
        services=("rag", "agent"),
        summary="messages published to JetStream carry no traceparent",
    ),
)

_NAMES = frozenset(defect.name for defect in DEFECTS)


class Defects(msgspec.Struct, frozen=True):
    """The defects that are switched on in this process."""

    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Defects:
        """Read a comma-separated list; raises ValueError with the known names for one that does not exist."""
        names = frozenset(name.strip() for name in text.split(",") if name.strip())
        if unknown := names - _NAMES:
            raise ValueError(f"no defect called {', '.join(sorted(unknown))}; known: {', '.join(sorted(_NAMES))}")
        return cls(names)

    def of(self, service: str) -> Defects:
        """Those that are defects of this service: in the others the code they share stays correct."""
        return Defects(frozenset(one.name for one in DEFECTS if one.name in self.names and service in one.services))

    def on(self, name: str) -> bool:
        """Whether the defect is switched on; a name that does not exist is a mistake in this code."""
        if name not in _NAMES:
            raise ValueError(f"no defect called {name}")
        return name in self.names
