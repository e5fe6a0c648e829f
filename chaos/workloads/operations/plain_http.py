"""Kind `http`: one request as the scenario says it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import h11
import msgspec

from chaos.model.operation import Answer, AnswerKind, Unmet
from chaos.model.plain import HttpRequest, PlainOperation
from chaos.model.template import parse_template
from chaos.workloads.answers import PROBLEM_JSON, excerpt
from chaos.workloads.call import Call, Outcome
from chaos.workloads.content import ContentChecks, hidden_error, says_error
from chaos.workloads.http_wire import WireReply, exchange
from chaos.workloads.operations.doors import Doors, Runner
from chaos.workloads.patterns import Look, look_for
from chaos.workloads.templates import fill_parts, fill_payload, fill_text

__all__ = ["compile_http"]

_PATH_CHARS = "/?&=+,;:@!$'()*~%[]-._"
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
_AGENT = "chaos-drill"
_ACCEPTED = 202

Fields = Callable[[Call], list[tuple[str, str]]]


def compile_http(to: str, operation: PlainOperation, request: HttpRequest) -> Runner:
    """The runner of an operation: everything that does not depend on the single call is done once."""
    build = _requests(request)
    judge = _Judge(operation, request)

    async def run(call: Call, doors: Doors) -> Outcome:
        dialer = doors.plain.dialers["http", to]
        head, body = build(call, f"{dialer.host}:{dialer.port}")
        reply = await exchange(call, dialer, head, body)
        if reply.status == _ACCEPTED:
            call.accepted()
        return Outcome(answer=reply.answer) if reply.status is None else judge.outcome(call, reply)

    return run


def _requests(request: HttpRequest) -> Callable[[Call, str], tuple[h11.Request, bytes]]:
    path = fill_parts(parse_template(request.path))
    own = {name: fill_text(value) for name, value in request.headers.items()}
    body = fill_payload(request.body)
    names = {name.casefold() for name in own}
    usual = [] if "user-agent" in names else [("user-agent", _AGENT)]
    if request.body is not None and "content-type" not in names:
        json = request.body.text is None
        usual.append(("content-type", "application/json" if json else "text/plain; charset=utf-8"))

    def build(call: Call, host: str) -> tuple[h11.Request, bytes]:
        content = body(call)
        headers = [] if "host" in names else [("host", host)]
        # Blanks around a value are none of it (RFC 9110, 5.5), and h11 refuses them.
        headers += [*call.headers().items(), *usual, *((name, fill(call).strip()) for name, fill in own.items())]
        if content or request.method not in _BODILESS:
            headers.append(("content-length", str(len(content))))
        return h11.Request(method=request.method, target=_encoded(path(call)), headers=headers), content

    return build


def _encoded(path: str) -> str:
    """What may not stand in a request's target is percent-encoded; what is encoded already stays as it is."""
    return quote(path, safe=_PATH_CHARS)


class _Judge:
    """From a response to the outcome: is it the status that is right, is it degraded, does it hold what was declared."""

    def __init__(self, operation: PlainOperation, request: HttpRequest) -> None:
        self._statuses = frozenset(request.statuses)
        self._checks = ContentChecks(operation.content)
        self._degraded: Look | None = None if operation.degraded is None else look_for(operation.degraded)

    def outcome(self, call: Call, reply: WireReply) -> Outcome:
        answer, status = reply.answer, reply.status or 0
        right = status in self._statuses
        if right:
            answer = Answer(kind=AnswerKind.OK, status=status)
        if answer.kind is not AnswerKind.OK:
            return Outcome(answer=answer)
        degraded = self._degraded is not None and self._degraded(
            f"{reply.head}\n\n{reply.body.decode('utf-8', 'replace')}"
        )
        if degraded:
            answer = msgspec.structs.replace(answer, degraded=True)
        unmet = list(self._checks.check(call, reply.body, degraded=degraded))
        if self._statuses and not right:
            seen = excerpt(str(status).encode() + b" " + reply.body)
            unmet.insert(0, Unmet(check="status", expected=_either(self._statuses), seen=seen))
        if 200 <= status < 300 and not degraded:
            unmet += _hidden_error(reply, declared=bool(self._checks))
        # RFC 9110, 15.3.3: whether accepted work is ever done stays open.
        done = 200 <= status < 300 and status != _ACCEPTED
        return Outcome(answer=answer, unmet=tuple(unmet), proves_effect=done, bare=reply.answer)


def _either(statuses: frozenset[int]) -> str:
    return " or ".join(map(str, sorted(statuses)))


def _hidden_error(reply: WireReply, *, declared: bool) -> list[Unmet]:
    """An error under a 2xx: problem details, or an `error` in the JSON where no content is declared."""
    if reply.content_type == PROBLEM_JSON:
        return [hidden_error(reply.body, f"an ok answer whose content type is not {PROBLEM_JSON}, that of errors")]
    if declared or "json" not in reply.content_type or not says_error(reply.body):
        return []
    return [hidden_error(reply.body)]
