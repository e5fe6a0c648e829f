"""Server-sent events, both directions: reading a callee's stream, and answering with one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
from starlette.types import Send

from chaos.reference import problems, telemetry
from chaos.reference.openai import STREAM_DONE

__all__ = ["Event", "EventStream", "completion_events"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event; the name is `message` unless the stream says otherwise."""

    name: str = "message"
    data: str


async def completion_events(callee: str, response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a streamed completion without its end mark; raises Problem if it fails or just stops.

    A stream that ends without `[DONE]` was cut: passing it on as complete would turn a failure into half an answer.
    """
    done = False
    async for event in _events(response):
        if event.name == "error":
            raise problems.from_answer(callee, 502, problems.MEDIA_TYPE, event.data.encode(), None)
        if event.data == STREAM_DONE:
            done = True
        else:
            yield event
    if not done:
        raise problems.broken(callee, f"the stream of {callee} ended before it was complete", retryable=True)


async def _events(response: httpx.Response) -> AsyncIterator[Event]:
    """Events by the rules of the HTML standard, as far as model APIs use them: `event`, `data`, blank line."""
    name, data = "message", list[str]()
    async for line in response.aiter_lines():
        if not line and data:
            yield Event(name=name, data="\n".join(data))
            name, data = "message", []
        elif line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))


class EventStream:
    """An answer of server-sent events, written in the task of the request.

    No generator: one that is closed from another task would leave its span and its upstream behind.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def begin(self) -> None:
        """Send status and headers; from here on a failure can only be an event."""
        self.begun = True
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def write(self, data: str) -> None:
        """Send one event."""
        await self._send_text(f"data: {data}\n\n", more=True)

    async def finish(self) -> None:
        """Send the end mark and close the stream."""
        await self._send_text(f"data: {STREAM_DONE}\n\n", more=False)

    async def fail(self, problem: problems.Problem) -> None:
        """Tell the failure and close the stream without an end mark."""
        telemetry.mark_current_failed(problem)
        details = msgspec.structs.replace(problem.details, trace_id=telemetry.trace_id())
        await self._send_text(f"event: error\ndata: {msgspec.json.encode(details).decode()}\n\n", more=False)

    async def _send_text(self, text: str, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": more})
