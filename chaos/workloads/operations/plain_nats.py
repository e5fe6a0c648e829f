"""Kind `nats`: a request and its reply, or something published and what completes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chaos.model.operation import Answer, AnswerKind
from chaos.model.plain import NatsMessage, PlainOperation
from chaos.workloads.answers import excerpt, problem_answer, read_problem
from chaos.workloads.call import Call, Outcome
from chaos.workloads.content import ContentChecks, hidden_error, says_error
from chaos.workloads.envelope import read_json
from chaos.workloads.operations.doors import Doors, Runner
from chaos.workloads.patterns import Look, first_status, look_for
from chaos.workloads.plain_nats import Message, PlainNats
from chaos.workloads.templates import Fill, fill_payload, fill_text, tells_operation

__all__ = ["compile_nats"]

# NATS micro-services (ADR-32) tell an error in headers.
_SERVICE_ERROR, _SERVICE_CODE = "Nats-Service-Error", "Nats-Service-Error-Code"


def compile_nats(to: str, operation: PlainOperation, message: NatsMessage) -> Runner:
    """The runner of a message."""
    build, judge = _messages(message), _Judge(operation, message)
    completion = None if message.completion is None else fill_text(message.completion)
    by_subject = message.completion is not None and tells_operation(message.completion)

    async def run(call: Call, doors: Doors) -> Outcome:
        door, sent = doors.plain.nats[to], build(call)
        if not message.publish:
            return await _ask(call, door, sent, judge)
        if completion is None:
            return await _tell(call, door, sent, stored=message.jetstream)
        return await _work(call, door, sent, judge, completion if by_subject else None, stored=message.jetstream)

    return run


def _messages(message: NatsMessage) -> Callable[[Call], Message]:
    subject, payload = fill_text(message.subject), fill_payload(message.payload)
    headers = {name: fill_text(value) for name, value in message.headers.items()}
    return lambda call: Message(
        subject=subject(call),
        payload=payload(call),
        headers={name: fill(call) for name, fill in headers.items()},
    )


async def _ask(call: Call, door: PlainNats, sent: Message, judge: _Judge) -> Outcome:
    """The reply is the answer."""
    reply = await door.request(call, sent)
    if isinstance(reply, Answer):
        call.ended()
        return Outcome(answer=reply)
    call.received()
    call.ended()
    return judge.outcome(call, reply.data, reply.headers or {})


async def _tell(call: Call, door: PlainNats, sent: Message, *, stored: bool) -> Outcome:
    """That the server took it is the answer: a PubAck says that it is stored, anything less proves no effect."""
    if stored:
        refusal = await door.enqueue(call, sent, within_s=call.wait_s + 1)
    else:
        refusal = await door.publish(call, sent, confirmed=True)
    if refusal is None:
        call.received()
    call.ended()
    return Outcome(answer=refusal or Answer(kind=AnswerKind.OK), proves_effect=stored)


async def _work(
    call: Call, door: PlainNats, sent: Message, judge: _Judge, subject: Fill | None, *, stored: bool
) -> Outcome:
    """The message that completes it is the answer."""
    with door.completion(call, None if subject is None else subject(call)) as completion:
        refusal = await (door.enqueue(call, sent) if stored else door.publish(call, sent, confirmed=False))
        if refusal is not None:
            call.ended()
            return Outcome(answer=refusal)
        payload = await completion.wait()
        call.first_byte_ns = call.ended_ns = completion.t_ns
    return judge.outcome(call, payload, completion.headers)


class _Judge:
    """From a message to the outcome: is it an error, is it degraded, does it hold what was declared."""

    def __init__(self, operation: PlainOperation, message: NatsMessage) -> None:
        self._status = first_status(message.errors, look_for)
        self._marks: Look | None = None if operation.degraded is None else look_for(operation.degraded)
        self._checks = ContentChecks(operation.content)

    def outcome(self, call: Call, payload: bytes, headers: Mapping[str, str]) -> Outcome:
        text = payload.decode("utf-8", "replace")
        error = _service_error(headers) or self._declared_error(text) or _problem(payload)
        if error is not None:
            return Outcome(answer=error)
        degraded = self._marks is not None and self._marks(text)
        unmet = list(self._checks.check(call, payload, degraded=degraded))
        if not self._checks and not degraded and says_error(payload):
            unmet.append(hidden_error(payload))
        return Outcome(answer=Answer(kind=AnswerKind.OK, degraded=degraded), unmet=tuple(unmet))

    def _declared_error(self, text: str) -> Answer | None:
        status = self._status(text)
        if status is None:
            return None
        return Answer(kind=AnswerKind.ERROR, status=status, detail=excerpt(text) or None)


def _service_error(headers: Mapping[str, str]) -> Answer | None:
    if _SERVICE_CODE not in headers and _SERVICE_ERROR not in headers:
        return None
    code = headers.get(_SERVICE_CODE, "")
    status = int(code) if code.isdecimal() and len(code) == 3 else None
    detail = excerpt(headers.get(_SERVICE_ERROR, "")) or None
    return Answer(kind=AnswerKind.ERROR, status=status, code=None if status else code or None, detail=detail)


def _problem(payload: bytes) -> Answer | None:
    """Problem details (RFC 9457) as a message: an object with a title and a status of an error."""
    if b'"status"' not in payload or b'"title"' not in payload:
        return None
    value = read_json(payload)
    problem = read_problem(value)
    if problem.title is None or problem.status is None or problem.status < 400:
        return None
    return problem_answer(problem)
