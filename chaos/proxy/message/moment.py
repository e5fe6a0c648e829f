"""At which moment of an exchange a message fault acts, and which combinations mean nothing and are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from chaos.model.fault_kind import Phase, split_phase
from chaos.model.link import Protocol
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.message.action import FRAMED, ITEMIZED, Action
from chaos.proxy.message.nats_answers import ANSWERS, understood
from chaos.proxy.settings import ToxicSpec
from chaos.proxy.stage import ToxicType

__all__ = ["Moment", "moment_of"]

_PHASES = "connect, before, after or during:N (the N-th item of the answer, from 1)"


class Moment(NamedTuple):
    """`item` counts from 1, 0 but for DURING."""

    phase: Phase
    item: int


class _Answers(NamedTuple):
    """What can be told in the callee's place, by its protocol."""

    fits: Callable[[str], object]
    about: str


_ANSWERS = {
    Protocol.HTTP: _Answers(re.compile(r"[45][0-9][0-9]").fullmatch, "a status from 400 to 599"),
    Protocol.POSTGRES: _Answers(
        re.compile(r"(?!0[0-2])[0-9A-Z]{5}").fullmatch, "an SQLSTATE of an error, such as 40001"
    ),
    Protocol.NATS: _Answers(understood, ANSWERS),
}


def moment_of(spec: ToxicSpec, kind: ToxicType, protocol: Protocol | None) -> Moment | None:
    """When a message fault acts, BEFORE unless it says so; None for another toxic. Raises BadAttributesError."""
    action = kind.action
    if action is None:
        for name in ("phase", "answer"):
            if getattr(spec, name) is not None:
                raise BadAttributesError(
                    f"{name} is about single messages, {kind.name} acts on bytes: leave it out, or use cut, hold, drop, error, "
                    "truncate, malform or duplicate"
                )
        return None
    if protocol not in FRAMED:
        raise BadAttributesError(
            f"{kind.name} acts on messages, which this link does not tell apart: create the proxy with protocol "
            "http, nats or postgres"
        )
    moment = _moment(spec.phase)
    _check_phase(kind.name, action, moment.phase, protocol)
    _check_answer(spec, kind.name, action, protocol)
    if moment.phase is Phase.CONNECT and (spec.match is not None or spec.per not in (None, "link")):
        raise BadAttributesError(f"{kind.name} at connect counts connections of the link: leave match and per out")
    return moment


def _moment(phase: str | None) -> Moment:
    try:
        return Moment(*split_phase(phase or Phase.BEFORE))
    except ValueError:
        raise BadAttributesError(f"phase {phase!r} is unknown, it can be {_PHASES}") from None


def _check_phase(name: str, action: type[Action], phase: Phase, protocol: Protocol) -> None:
    if protocol in action.phases.get(phase, ()):
        return
    instead = action.instead.get(phase)
    if phase is Phase.DURING and protocol not in ITEMIZED:
        instead = f"an answer of {protocol} has no items: {name} before or after"
    if instead is None:
        instead = f"it can act {' or '.join(one for one in Phase if protocol in action.phases.get(one, ()))}"
    raise BadAttributesError(f"{name} at {phase} means nothing on a link of {protocol}; {instead}")


def _check_answer(spec: ToxicSpec, name: str, action: type[Action], protocol: Protocol) -> None:
    if not action.answers:
        if spec.answer is not None:
            raise BadAttributesError(f"{name} answers nothing: leave answer out, or use error")
        return
    known = _ANSWERS[protocol]
    if not spec.answer:
        raise BadAttributesError(f"{name} needs an answer: {known.about}")
    if not known.fits(spec.answer):
        raise BadAttributesError(
            f"{name} answer {spec.answer[:40]!r} cannot be told on a link of {protocol}: give {known.about}"
        )
    if spec.attributes.get("retry_after") and protocol is not Protocol.HTTP:
        raise BadAttributesError(f"{name} retry_after is a header of HTTP, {protocol} has none: leave it out")
