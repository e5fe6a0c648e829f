"""What became of a write, as far as its answer tells. Never turn unknown into not-applied."""

from __future__ import annotations

from chaos.model.operation import Answer, AnswerKind, EffectState

__all__ = ["effect_of"]

# 4xx that do not say "nothing was done": a timeout, a conflict with what may be this very write's first attempt, too early, and
# a caller that went away.
_NO_REFUSAL = frozenset({408, 409, 425, 499})


def effect_of(answer: Answer, *, writes: bool, proven: bool = True) -> EffectState:
    """The effect of an operation with that answer.

    Ok means applied, unless it is not `proven` by an ok answer: a message that was handed on may still be lost. An error means not applied only when nothing was sent (a connect refused at the driver) or when the service
    itself refused the request (a 4xx that names no dependency: one passed up from below may follow work already done). All else is
    unknown, an accepted task without its completion too: it obliges one effect, and the ledger counts it.
    """
    if not writes:
        return EffectState.READ
    if answer.kind is AnswerKind.OK:
        return EffectState.APPLIED if proven else EffectState.UNKNOWN
    return EffectState.NOT_APPLIED if _refused(answer) else EffectState.UNKNOWN


def _refused(answer: Answer) -> bool:
    if answer.kind is not AnswerKind.ERROR:
        return False
    if answer.layer == "driver":
        return answer.code == "connect-refused"
    status = answer.status or 0
    return 400 <= status < 500 and status not in _NO_REFUSAL and answer.dependency is None
