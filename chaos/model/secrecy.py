"""What may be hidden in a record, and what may not: the words that records are made of, and the names of their scenario.

A value of the environment is replaced wherever it stands. One that stands in a word below would take the record's sense with it: such a value
is refused where the scenario asks for it, and left alone where it merely is in the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaos.model.effect import OpIdIn
from chaos.model.event import PhaseName
from chaos.model.fault import FAULT_KINDS, Effect, Phase, Stream
from chaos.model.link import Protocol, Tls
from chaos.model.operation import AnswerKind, EffectState
from chaos.model.scenario import AbortMetric, Arrivals, Scenario
from chaos.model.verdict import Verdict
from chaos.model.wire_record import WIRE_KINDS

__all__ = ["FORMAT_WORDS", "PLAIN_WORDS", "SHORTEST", "names_of", "word_with", "worth_hiding"]

SHORTEST = 6
"""Shorter values stand in innocent text everywhere; hiding them would destroy the log."""

_SETTINGS = (
    "admin agent basic bearer chaos database default disable disabled enabled gateway localhost nobody optional postgres postgresql prefer"
    " provider public redacted require required trust verify-ca verify-full 127.0.0.1 0.0.0.0"
)
PLAIN_WORDS = frozenset(_SETTINGS.split())
"""Words of settings: hiding them would wreck the records and reveal nothing."""

_ENUMS = (
    PhaseName,
    Effect,
    Stream,
    Phase,
    Protocol,
    Tls,
    AnswerKind,
    EffectState,
    AbortMetric,
    Arrivals,
    Verdict,
    OpIdIn,
)
_ENDS = "complete failed aborted interrupted ended healed lease hard-end replaced proxy-gone refused accepted timeout answered unanswered"
_CLOSES = "fin rst dial-failed killed limit connect before after during"
_PARTIES = "driver proxy supervisor conductor system services toxiproxy reference own none python"
_SIGNALS = "SIGINT SIGTERM SIGHUP"
_CODES = (
    "dependency_unavailable dependency_timeout dependency_error deadline_exceeded rate_limited connect-refused internal"
)
_CHECKS = (
    "body chunks contains dimension document document-digest error-body input-digest json message-type reply rows shape sources status"
    " stream-error tenant terminal-marker text tool value"
)
_REQUESTS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE BEGIN COMMIT ROLLBACK SELECT INSERT UPDATE PUB SUB"

FORMAT_WORDS = frozenset(
    [
        *f"{_ENDS} {_CLOSES} {_PARTIES} {_SIGNALS} {_CODES} {_CHECKS} {_REQUESTS}".split(),
        *(member.value for one in _ENUMS for member in one),
        *WIRE_KINDS,
        *FAULT_KINDS,
    ]
)
"""Closed vocabularies of records, as far as they stand there as text."""


def worth_hiding(value: str) -> bool:
    """Whether a value can be told from innocent text."""
    return len(value) >= SHORTEST and value.lower() not in PLAIN_WORDS


def word_with(value: str, words: Iterable[str]) -> str | None:
    """The shortest of the words that the value stands in, or None."""
    return min((word for word in words if value in word), key=len, default=None)


def names_of(scenario: Scenario) -> Iterator[str]:
    """Every name that the scenario gives: who is who in its record."""
    yield scenario.name
    yield from () if scenario.own is None else scenario.own.names
    yield from scenario.links.names
    for workload in scenario.workloads:
        yield from (workload.name, workload.kind, *workload.operations)
    yield from (one.name for one in scenario.timeline.faults)
    yield from (one.name for one in scenario.effects.effects)
    yield from (one.name for one in scenario.effects.unfinished)
