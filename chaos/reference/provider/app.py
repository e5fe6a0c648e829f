"""The provider's routes: chat completions (plain and streamed) and embeddings, behind a bearer key."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chaos.reference import problems, telemetry
from chaos.reference.bodies import plain, read_plain
from chaos.reference.front import Service
from chaos.reference.openai import (
    ChatCompletion,
    ChatCompletionRequest,
    ChatMessage,
    Choice,
    Chunk,
    ChunkChoice,
    Delta,
    EmbeddingRequest,
    EmbeddingResponse,
    EmbeddingRow,
    FunctionCall,
    FunctionCallDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from chaos.reference.provider import words
from chaos.reference.settings import Settings
from chaos.reference.sse import EventStream

__all__ = ["open_service"]

_FIRST_TOKEN_S = 0.005
_TOKEN_S = 0.001


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The provider needs nobody."""
    settings.need("provider_api_key", "digest_key")
    key = _Key(settings.provider_api_key)
    yield Service(
        routes=[
            Route("/v1/chat/completions", _Chat(key, settings.digest_key), methods=["POST"]),
            Route("/v1/embeddings", _Embeddings(key), methods=["POST"]),
        ]
    )


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What the model decided to say: a text, or one tool call."""

    text: str | None
    call: ToolCall | None
    usage: Usage

    @property
    def finish_reason(self) -> str:
        return "tool_calls" if self.call else "stop"


class _Key:
    """The bearer key every request must show."""

    def __init__(self, key: str) -> None:
        self._authorization = f"Bearer {key}".encode()

    def check(self, request: Request) -> None:
        """Raise Problem 401 for a request without it."""
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._authorization):
            raise problems.invalid_request("the bearer key is missing or wrong", status=401)


class _Embeddings:
    def __init__(self, key: _Key) -> None:
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self._key.check(request)
        wanted = await read_plain(request, EmbeddingRequest)
        texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
        tokens = words.count_tokens(texts)
        answer = EmbeddingResponse(
            data=[EmbeddingRow(index=index, embedding=words.embed(text)) for index, text in enumerate(texts)],
            model=wanted.model,
            usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
        )
        await plain(answer)(scope, receive, send)


class _Chat:
    def __init__(self, key: _Key, digest_key: str) -> None:
        self._key = key
        self._digest_key = digest_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self._key.check(request)
        wanted = await read_plain(request, ChatCompletionRequest)
        reply = self._decide(wanted)
        telemetry.mark_generation(wanted.model, reply.usage)
        if wanted.stream:
            await _speak(EventStream(send), wanted.model, reply)
        else:
            await asyncio.sleep(_FIRST_TOKEN_S + _TOKEN_S * reply.usage.completion_tokens)
            await plain(_completion(wanted.model, reply))(scope, receive, send)

    def _decide(self, wanted: ChatCompletionRequest) -> _Reply:
        """Call the first tool offered, unless a tool has answered already; then speak."""
        prompt_tokens = words.count_tokens(message.content for message in wanted.messages)
        if wanted.tools and not any(message.role == "tool" for message in wanted.messages):
            arguments = words.tool_arguments(wanted.messages)
            call = ToolCall(id="call_0", function=FunctionCall(name=wanted.tools[0].function.name, arguments=arguments))
            return _Reply(text=None, call=call, usage=_usage(prompt_tokens, words.count_tokens([arguments])))
        text = words.answer_text(self._digest_key, wanted.messages)
        return _Reply(text=text, call=None, usage=_usage(prompt_tokens, words.count_tokens([text])))


def _completion(model: str, reply: _Reply) -> ChatCompletion:
    message = ChatMessage(role="assistant", content=reply.text, tool_calls=[reply.call] if reply.call else None)
    return ChatCompletion(
        id=_completion_id(),
        created=int(time.time()),
        model=model,
        choices=[Choice(message=message, finish_reason=reply.finish_reason)],
        usage=reply.usage,
    )


async def _speak(stream: EventStream, model: str, reply: _Reply) -> None:
    """Stream a reply: the role, then tokens or argument fragments, then the reason of the end with the usage."""
    completion_id, created = _completion_id(), int(time.time())

    async def send(delta: Delta, finish_reason: str | None = None, usage: Usage | None = None) -> None:
        choices = [ChunkChoice(delta=delta, finish_reason=finish_reason)]
        chunk = Chunk(id=completion_id, created=created, model=model, choices=choices, usage=usage)
        await stream.write(msgspec.json.encode(chunk).decode())

    await asyncio.sleep(_FIRST_TOKEN_S)
    for delta in _deltas(reply):
        await send(delta)
        await asyncio.sleep(_TOKEN_S)
    await send(Delta(), reply.finish_reason, reply.usage)
    await stream.finish()


def _deltas(reply: _Reply) -> list[Delta]:
    role = Delta(role="assistant")
    if reply.call is None:
        return [role, *(Delta(content=word + " ") for word in (reply.text or "").split())]
    opened = ToolCallDelta(
        index=0, id=reply.call.id, type="function", function=FunctionCallDelta(name=reply.call.function.name)
    )
    pieces = (
        ToolCallDelta(index=0, function=FunctionCallDelta(arguments=piece))
        for piece in words.fragments(reply.call.function.arguments)
    )
    return [role, *(Delta(tool_calls=[call]) for call in (opened, *pieces))]


def _usage(prompt_tokens: int, completion_tokens: int) -> Usage:
    return Usage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )


def _completion_id() -> str:
    return f"chatcmpl-{time.time_ns():x}"
