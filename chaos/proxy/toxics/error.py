"""error: an error is told in the callee's place: `answer` is an HTTP status, an SQLSTATE or an error of NATS."""

# ruff: noqa: ARG002 - one interface for all actions

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.message.action import MESSAGES, Action, Do, Then
from chaos.proxy.message.turn import Answer, Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class ErrorAttributes(Attributes, frozen=True):
    """`retry_after` in milliseconds, which HTTP tells in whole seconds; 0 says nothing."""

    retry_after: int = 0

    def check(self) -> None:
        if self.retry_after < 0:
            raise BadAttributesError(f"error retry_after {self.retry_after} is negative, give milliseconds")


class ErrorAction(Action):
    """The message is swallowed, or its answer is."""

    answers: ClassVar[bool] = True
    phases: ClassVar[Mapping[Phase, tuple[Protocol, ...]]] = {
        **MESSAGES,
        Phase.CONNECT: (Protocol.POSTGRES, Protocol.NATS),
        Phase.DURING: (Protocol.POSTGRES,),
    }
    instead: ClassVar[Mapping[Phase, str]] = {
        Phase.CONNECT: "HTTP has no start-up that could be answered: cut, hold or drop at connect, or error before",
        Phase.DURING: "an answer of HTTP that has begun cannot become an error: cut, truncate or malform during it, or error after",
    }

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        code, text = self.toxic.spec.answer or "", f"fault {self.toxic.fault}"
        answer = Answer(code=code, text=text, retry_after_ms=self.attributes.retry_after)
        return Do(then=Then.SWALLOW, answer=answer)


TOXIC = ToxicType(name="error", attributes=ErrorAttributes, action=ErrorAction, standard=False)
