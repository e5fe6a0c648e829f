"""From an ok body to an outcome: open it, note a degraded marker, run the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from chaos.model.operation import Answer, AnswerKind, Unmet
from chaos.workloads.answers import problem_answer, read_problem
from chaos.workloads.call import Outcome
from chaos.workloads.envelope import unpack
from chaos.workloads.http_door import HttpReply

__all__ = ["judge_envelope", "judge_message", "judge_reply"]

_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def judge_reply(
    reply: HttpReply, message_type: str, shape: type[_Shape], check: Callable[[_Shape], Iterable[Unmet]]
) -> Outcome:
    """The outcome of an HTTP answer that is ok when its envelope holds what `check` wants."""
    return (
        judge_envelope(reply.answer, reply.body, message_type, shape, check)
        if reply.ok
        else Outcome(answer=reply.answer)
    )


def judge_message(
    payload: bytes, message_type: str, shape: type[_Shape], check: Callable[[_Shape], Iterable[Unmet]]
) -> Outcome:
    """The outcome of an enveloped NATS message, which is a `problem` or the expected type."""
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict) and value.get("message_type") == "problem":
        return Outcome(answer=problem_answer(read_problem(value.get("data"))))
    return judge_envelope(Answer(kind=AnswerKind.OK), payload, message_type, shape, check)


def judge_envelope(
    answer: Answer, body: bytes, message_type: str, shape: type[_Shape], check: Callable[[_Shape], Iterable[Unmet]]
) -> Outcome:
    """The outcome of an ok body. An answer that declares itself degraded owes less: `check` decides what."""
    data = unpack(body, message_type, shape)
    if isinstance(data, Unmet):
        return Outcome(answer=answer, unmet=(data,))
    if getattr(data, "degraded", False):
        answer = msgspec.structs.replace(answer, degraded=True)
    return Outcome(answer=answer, unmet=tuple(check(data)))
