"""Kind `gateway`: chat completions, plain and streamed over HTTP and as a request on NATS, and embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from chaos.model.operation import Answer, AnswerKind, Unmet
from chaos.workloads.answers import excerpt, problem_answer, read_problem
from chaos.workloads.call import Call, Outcome
from chaos.workloads.checks import dimension
from chaos.workloads.envelope import error_body, pack, read_json
from chaos.workloads.operations.doors import Doors
from chaos.workloads.operations.judging import judge_message
from chaos.workloads.sse import read_events

__all__ = ["chat", "embed", "queued", "stream"]

_DONE = "[DONE]"
_MODEL = "ref-chat"


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True, kw_only=True):
    message: _Message | None = None
    delta: _Message | None = None


class _Completion(msgspec.Struct, frozen=True, kw_only=True):
    choices: list[_Choice]


class _Vector(msgspec.Struct, frozen=True, kw_only=True):
    embedding: list[float]


class _Vectors(msgspec.Struct, frozen=True, kw_only=True):
    data: list[_Vector]


class _ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    degraded: bool = False


async def chat(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/chat/completions`, the whole answer at once."""
    reply = await doors.http.post(call, doors.gateway("/v1/chat/completions"), _chat_body(call, streamed=False))
    if not reply.ok:
        return Outcome(answer=reply.answer)
    completion = _convert(read_json(reply.body), _Completion)
    if isinstance(completion, Unmet):
        return Outcome(answer=reply.answer, unmet=(completion,))
    text = "".join(choice.message.content or "" for choice in completion.choices[:1] if choice.message)
    return Outcome(answer=reply.answer, unmet=tuple(doors.checks.input_digest(call, text)))


async def stream(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/chat/completions` with `stream`: chunks that end with `[DONE]`, or with an error event instead."""
    reply = await doors.http.post(call, doors.gateway("/v1/chat/completions"), _chat_body(call, streamed=True))
    return _judge_stream(call, doors, reply.answer, reply.body) if reply.ok else Outcome(answer=reply.answer)


async def queued(call: Call, doors: Doors) -> Outcome:
    """A request on the gateway's NATS queue."""
    bus = doors.bus()
    payload = pack("chat.request", {"messages": _messages(call), "model": _MODEL})
    reply = await bus.request(call, bus.subject("gateway.requests"), payload)
    if isinstance(reply, Answer):
        return Outcome(answer=reply)
    return judge_message(
        reply,
        "chat.response",
        _ChatResponse,
        lambda response: () if response.degraded else doors.checks.input_digest(call, response.text),
    )


async def embed(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/embeddings` of one text."""
    body = msgspec.json.encode({"model": "ref-embed", "input": [" ".join(call.document.words)]})
    reply = await doors.http.post(call, doors.gateway("/v1/embeddings"), body)
    if not reply.ok:
        return Outcome(answer=reply.answer)
    vectors = _convert(read_json(reply.body), _Vectors)
    if isinstance(vectors, Unmet):
        return Outcome(answer=reply.answer, unmet=(vectors,))
    return Outcome(answer=reply.answer, unmet=tuple(dimension(len(vectors.data[0].embedding) if vectors.data else 0)))


def _messages(call: Call) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Tell something about {' '.join(call.document.words)}. {call.nonce}"}]


def _chat_body(call: Call, *, streamed: bool) -> bytes:
    return msgspec.json.encode({"model": _MODEL, "messages": _messages(call), "stream": streamed})


def _convert(value: Any, shape: type[msgspec.Struct]) -> Any:
    """The value in that shape, or an Unmet."""
    if isinstance(value, Unmet):
        return value
    error = error_body(value)
    if error is not None:
        return error
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as wrong:
        return Unmet(check="shape", expected="an OpenAI-shaped answer", seen=excerpt(str(wrong)))


def _judge_stream(call: Call, doors: Doors, answer: Answer, body: bytes) -> Outcome:
    text, done, unmet = "", False, list[Unmet]()
    for name, data in read_events(body):
        if data == _DONE:
            done = True
        elif name == "error":
            unmet.append(
                Unmet(
                    check="stream-error",
                    expected="no error event in a stream that ends as complete",
                    seen=excerpt(data),
                )
            )
        else:
            chunk = _convert(read_json(data.encode()), _Completion)
            if isinstance(chunk, Unmet):
                unmet.append(chunk)
            else:
                text += "".join(choice.delta.content or "" for choice in chunk.choices[:1] if choice.delta)
    if unmet and unmet[-1].check == "stream-error" and not done:  # failed, and says so
        return Outcome(answer=_stream_problem(answer, body))
    unmet += _terminal(body, done=done)
    return Outcome(answer=answer, unmet=(*unmet, *doors.checks.input_digest(call, text)))


def _terminal(body: bytes, *, done: bool) -> Iterator[Unmet]:
    if not done:
        seen = excerpt(body[-120:]) or "an empty stream"
        yield Unmet(check="terminal-marker", expected=f"a stream that ends with {_DONE}", seen=seen)


def _stream_problem(answer: Answer, body: bytes) -> Answer:
    """The error answer of a stream's last error event; without a status in it, that of the response tells nothing."""
    data = [data for name, data in read_events(body) if name == "error"][-1]
    value = read_json(data.encode())
    if isinstance(value, Unmet):
        return Answer(kind=AnswerKind.ERROR, status=answer.status, detail=excerpt(data))
    return problem_answer(read_problem(value))
