"""The way in: an ASGI application that carries trace, budget and cancellation to the routes of a service.

Plain ASGI on purpose: a `BaseHTTPMiddleware` runs the handler in another context and would lose trace and budget.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from chaos.reference import budget, problems, spending, telemetry
from chaos.reference.problems import Problem

__all__ = ["Front", "Service"]

log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 1024 * 1024
_CANCEL_S = 1


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What a service hands to the runner: its routes, and the names of the dependencies it still waits for."""

    routes: list[Route]
    missing: Callable[[], list[str]] = list


class Front:
    """The outermost application: reads the body, then serves under trace and budget while the caller is there."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._paths = {route.path for route in service.routes}
        self._router = Router([*service.routes, Route("/healthz", self._health)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; only HTTP is spoken here."""
        assert scope["type"] == "http"
        scope["app"] = self._router  # makes the router raise for an unknown route instead of answering in plain text
        arrived_s = time.monotonic()
        exchange = _Exchange(send)
        body = await _read_body(receive)
        if body is not None:
            handler = asyncio.create_task(self._handle(scope, _replay(body), exchange, arrived_s))
            await _while_caller_waits(handler, receive, exchange)

    async def _handle(self, scope: Scope, receive: Receive, exchange: _Exchange, arrived_s: float) -> None:
        if scope["path"] == "/healthz":
            await self._router(scope, receive, exchange.send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        route = scope["path"] if scope["path"] in self._paths else ""
        attributes = {"http.request.method": scope["method"], "http.route": route, "url.path": scope["path"]}
        name = f"{scope['method']} {route}".rstrip()
        with telemetry.incoming(headers), telemetry.span(name, telemetry.SpanKind.SERVER, attributes) as span:
            try:
                waited_ms = (time.monotonic() - arrived_s) * 1000
                with budget.travel(headers, waited_ms=waited_ms), spending.counted():
                    await self._router(scope, receive, exchange.send)
            except Exception as error:  # noqa: BLE001 - the edge of the service: everything becomes an answer
                problem = _as_problem(error)
                await exchange.fail(_problem_response(problem), scope, receive)
                telemetry.mark_failed(span, problem)
            span.set_attribute("http.response.status_code", exchange.status)

    async def _health(self, _request: Request) -> Response:
        missing = self._service.missing()
        body = {"status": "starting", "waiting_for": missing} if missing else {"status": "ok"}
        return Response(msgspec.json.encode(body), 503 if missing else 200, media_type="application/json")


class _Exchange:
    """Sends the answer and remembers how far it got."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if timing := spending.server_timing():
                message["headers"] = [*message["headers"], (spending.SERVER_TIMING.encode(), timing.encode())]
        elif not message.get("more_body", False):
            self.complete = True
        await self._send(message)

    async def fail(self, answer: Response, scope: Scope, receive: Receive) -> None:
        """Answer with a failure; once an answer has begun its connection is broken instead, which callers notice."""
        if self.status:
            raise ConnectionAbortedError("the answer failed after it had begun")
        await answer(scope, receive, self.send)


def _as_problem(error: Exception) -> Problem:
    if isinstance(error, HTTPException):  # the router's: no such route, no such method
        return problems.invalid_request(error.detail, status=error.status_code)
    return problems.from_exception(error)


def _problem_response(problem: Problem) -> Response:
    details = msgspec.structs.replace(problem.details, trace_id=telemetry.trace_id())
    pause_s = details.retry_after_s
    headers = None if pause_s is None else {"Retry-After": str(math.ceil(pause_s))}
    return Response(msgspec.json.encode(details), details.status, headers, media_type=problems.MEDIA_TYPE)


async def _read_body(receive: Receive) -> bytes | None:
    """The body, no further than just beyond the limit, or None if the caller left meanwhile."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > _MAX_BODY_BYTES or not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes) -> Receive:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        if len(body) > _MAX_BODY_BYTES:
            raise problems.invalid_request("the body is larger than 1 MiB", status=413)
        for message in messages:
            return message
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    return receive


async def _while_caller_waits(handler: asyncio.Task[None], receive: Receive, exchange: _Exchange) -> None:
    """Await the handler; cancel it, and with it every call below, when the caller disconnects."""
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({handler, gone}, return_when=asyncio.FIRST_COMPLETED)
        if exchange.complete:  # the server reports the end of a complete exchange as a disconnect, too
            await asyncio.wait({handler})
    finally:
        if not handler.done():
            log.info("the caller is gone: cancelling the work for it")
        handler.cancel()
        gone.cancel()
        await asyncio.wait({handler, gone}, timeout=_CANCEL_S)
    if handler.done() and not handler.cancelled():
        handler.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
