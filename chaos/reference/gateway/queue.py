"""The gateway's request queue on NATS: `<ns>.gateway.requests`, answered to the reply subject."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from chaos.reference import budget, envelope, problems, telemetry
from chaos.reference.bus import Bus, lower_case
from chaos.reference.messages import ChatRequest, ChatResponse
from chaos.reference.openai import ChatCompletion, ChatCompletionRequest
from chaos.reference.problems import Problem

__all__ = ["RequestQueue"]

log = logging.getLogger(__name__)

_AT_ONCE = 16

Complete = Callable[[ChatCompletionRequest], Awaitable[ChatCompletion]]


class RequestQueue:
    """Takes requests from a queue group and answers each, with a completion or a problem."""

    def __init__(self, namespace: str, complete: Complete) -> None:
        self._subject = f"{namespace}.gateway.requests"
        self._complete = complete
        self._waiting: asyncio.Queue[tuple[float, Msg]] = asyncio.Queue(maxsize=1000)
        self._subscribed_on: Client | None = None

    async def prepare(self, bus: Bus) -> None:
        """Subscribe once with each client; it renews the subscription after a reconnect."""
        if self._subscribed_on is not bus.client:
            await bus.client.subscribe(self._subject, queue="gateway", cb=self._take)
            self._subscribed_on = bus.client
        await bus.client.flush(timeout=1)

    async def _take(self, message: Msg) -> None:
        await self._waiting.put((time.monotonic(), message))

    async def run(self, bus: Bus) -> None:
        """Serve until cancelled, a bounded number of requests at a time."""
        slots = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                arrived_s, message = await self._waiting.get()
                group.create_task(self._serve(bus, message, arrived_s)).add_done_callback(lambda _task: slots.release())

    async def _serve(self, bus: Bus, message: Msg, arrived_s: float) -> None:
        headers = lower_case(message.headers)
        attributes = {"messaging.system": "nats", "messaging.destination.name": self._subject}
        with telemetry.incoming(headers), telemetry.span("process", telemetry.SpanKind.CONSUMER, attributes):
            try:
                with budget.travel(headers, waited_ms=(time.monotonic() - arrived_s) * 1000):
                    await _reply(bus, message, await self._answer(message))
            except Problem as unreadable_budget:
                await _reply(bus, message, _payload(unreadable_budget))

    async def _answer(self, message: Msg) -> bytes:
        try:
            request = envelope.decode(message.data, "chat.request", ChatRequest)
            completion = await self._complete(ChatCompletionRequest(model=request.model, messages=request.messages))
        except envelope.EnvelopeError as error:
            problem = problems.invalid_request(str(error))
        except Exception as error:  # noqa: BLE001 - an edge of the service: everything becomes an answer
            problem = problems.from_exception(error)
        else:
            text = completion.choices[0].message.content or ""
            return envelope.encode(
                "chat.response", ChatResponse(text=text, usage=completion.usage, model=completion.model)
            )
        telemetry.mark_current_failed(problem)
        return _payload(problem)


async def _reply(bus: Bus, message: Msg, payload: bytes) -> None:
    try:
        await bus.reply(message, payload)
    except Problem as problem:
        log.warning("a reply could not be sent: %s", problem)
        telemetry.mark_current_failed(problem)


def _payload(problem: Problem) -> bytes:
    return envelope.encode_problem(msgspec.structs.replace(problem.details, trace_id=telemetry.trace_id()))
