"""The gateway's routes: what callers ask of models goes to the provider, with retries, deadlines and streams passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import httpx
import msgspec
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chaos.reference import problems, telemetry
from chaos.reference.bodies import plain, read_plain
from chaos.reference.bus import Bus
from chaos.reference.front import Service
from chaos.reference.gateway.queue import RequestQueue
from chaos.reference.gateway.retry import open_with_retries
from chaos.reference.httpcall import Callee, open_client
from chaos.reference.openai import ChatCompletion, ChatCompletionRequest, EmbeddingRequest, EmbeddingResponse
from chaos.reference.serving import background
from chaos.reference.settings import Settings
from chaos.reference.sse import EventStream, completion_parts

__all__ = ["open_service"]

Answer = TypeVar("Answer")

_CHAT = "/v1/chat/completions"
_EMBEDDINGS = "/v1/embeddings"


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """The gateway needs NATS to be ready; the provider may come and go."""
    settings.need("provider_url", "provider_api_key", "nats_url")
    async with open_client(settings.provider_url) as client:
        authorization = {"Authorization": f"Bearer {settings.provider_api_key}"}
        provider = Callee(client, "provider", settings.provider_url, settings, headers=authorization)
        bus = Bus(settings)
        models = _Models(provider, bus, settings)
        queue = RequestQueue(settings.namespace, models.complete)
        async with background(bus.keep_connected(queue.prepare)), background(queue.run(bus)):
            yield Service(
                routes=[
                    Route(_CHAT, _Chat(models), methods=["POST"]),
                    Route(_EMBEDDINGS, _Embeddings(models), methods=["POST"]),
                ],
                missing=lambda: [] if bus.ready.is_set() else ["nats"],
            )


class _Models:
    """The models behind the provider."""

    def __init__(self, provider: Callee, bus: Bus, settings: Settings) -> None:
        self._provider = provider
        self._bus = bus
        self._defects = settings.defects

    async def complete(self, request: ChatCompletionRequest) -> ChatCompletion:
        """A whole completion; raises Problem."""
        completion = await self._ask(_CHAT, request, ChatCompletion)
        telemetry.mark_generation(completion.model, completion.usage)
        return completion

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Embeddings; raises Problem."""
        return await self._ask(_EMBEDDINGS, request, EmbeddingResponse)

    async def pass_on(self, request: ChatCompletionRequest, stream: EventStream) -> None:
        """Pass a streamed completion on as it comes; raises Problem as long as nothing of it has been sent."""
        skip = self._defects.on("malformed-event-skipped")
        try:
            async with self._open(_CHAT, request) as response:
                async for part in completion_parts(self._provider.name, response, skip_unreadable=skip):
                    await stream.write(part.data)
            await stream.finish()
        except problems.Problem as problem:
            if not stream.begun:
                raise
            if self._defects.on("cut-stream-as-complete"):
                await stream.finish()
            else:
                await stream.fail(problem)

    async def _ask(self, path: str, request: msgspec.Struct, answer_type: type[Answer]) -> Answer:
        async with self._open(path, request) as response:
            body = await response.aread()
        try:
            return msgspec.json.decode(body, type=answer_type)
        except msgspec.MsgspecError as error:
            raise problems.broken("provider", f"the provider's answer cannot be read: {error}") from error

    def _open(self, path: str, request: msgspec.Struct) -> AbstractAsyncContextManager[httpx.Response]:
        if self._defects.on("shared-breaker") and not self._bus.ready.is_set():
            raise problems.unavailable("nats", "the breaker is open since the connection to nats was lost")
        return open_with_retries(self._provider, path, msgspec.json.encode(request), self._defects)


class _Chat:
    def __init__(self, models: _Models) -> None:
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = await read_plain(Request(scope, receive), ChatCompletionRequest)
        if wanted.stream:
            await self._models.pass_on(wanted, EventStream(send))
        else:
            await plain(await self._models.complete(wanted))(scope, receive, send)


class _Embeddings:
    def __init__(self, models: _Models) -> None:
        self._models = models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = await read_plain(Request(scope, receive), EmbeddingRequest)
        await plain(await self._models.embed(wanted))(scope, receive, send)
