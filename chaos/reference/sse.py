"""Server-sent events, both directions: reading a callee's stream, and answering with one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import msgspec
from starlette.types import Send

from chaos.reference import problems, telemetry
from chaos.reference.openai import STREAM_DONE, Chunk
from chaos.reference.problems import Problem

__all__ = ["EventStream", "Part", "completion_parts"]

_IGNORED_FIELDS = frozenset({"", "id", "retry"})  # a line that begins with a colon is a comment


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a streamed completion: its text as it came, and the chunk it holds."""

    data: str
    chunk: Chunk


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event; `flaw` says what is wrong with its lines, if anything is."""

    name: str
    data: str
    flaw: str


async def completion_parts(
    callee: str, response: httpx.Response, *, skip_unreadable: bool = False
) -> AsyncIterator[Part]:
    """The parts of a streamed completion without its end mark; raises Problem if it fails, just stops, or is unreadable.

    A stream that ends without `[DONE]` was cut: passing it on as complete would turn a failure into half an answer. So
    would leaving out an event that cannot be read, which `skip_unreadable` does.
    """
    done = False
    async for event in _events(response):
        if event.name == "error":
            raise problems.from_answer(callee, 502, problems.MEDIA_TYPE, event.data.encode(), None)
        if event.data == STREAM_DONE and not event.flaw:
            done = True
            continue
        try:
            part = _part(callee, event)
        except Problem:
            if skip_unreadable:
                continue
            raise
        yield part
    if not done:
        raise problems.broken(callee, f"the stream of {callee} ended before it was complete", retryable=True)


def _part(callee: str, event: _Event) -> Part:
    if event.flaw:
        raise problems.broken(callee, f"an event of the stream cannot be read: {event.flaw}")
    try:
        return Part(data=event.data, chunk=msgspec.json.decode(event.data, type=Chunk))
    except msgspec.MsgspecError as error:
        raise problems.broken(callee, f"an event of the stream cannot be read: {error}") from error


async def _events(response: httpx.Response) -> AsyncIterator[_Event]:
    """Events by the rules of the HTML standard, as far as model APIs use them: `event`, `data`, blank line.

    The standard passes over fields it does not know. Here such a line is a flaw: it may have been `data`.
    """
    name, data, flaw = "message", list[str](), ""
    async for line in _lines(response):
        if not line:
            if data or flaw:
                yield _Event(name=name, data="\n".join(data), flaw=flaw)
            name, data, flaw = "message", [], ""
            continue
        field, value = _field(line)
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field not in _IGNORED_FIELDS:
            flaw = "a line of it has no known field"


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """Whole lines; what no line end follows is none."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")


def _field(line: bytes) -> tuple[str, str]:
    """Name and value; no known name for what is no UTF-8: replaced characters would pass for an answer."""
    try:
        name, _, value = line.decode().partition(":")
    except UnicodeDecodeError:
        return "unreadable", ""
    return name, value.removeprefix(" ")


class EventStream:
    """An answer of server-sent events, written in the task of the request; its status goes out with the first event.

    No generator: one that is closed from another task would leave its span and its upstream behind.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def write(self, data: str) -> None:
        """Send one event. Once one is sent, a failure can only be an event, too."""
        await self._send_text("".join(f"data: {line}\n" for line in data.split("\n")), more=True)

    async def finish(self) -> None:
        """Send the end mark and close the stream."""
        await self._send_text(f"data: {STREAM_DONE}\n", more=False)

    async def fail(self, problem: Problem) -> None:
        """Tell the failure and close the stream without an end mark."""
        telemetry.mark_current_failed(problem)
        details = msgspec.structs.replace(problem.details, trace_id=telemetry.trace_id())
        await self._send_text(f"event: error\ndata: {msgspec.json.encode(details).decode()}\n", more=False)

    async def _send_text(self, event: str, *, more: bool) -> None:
        if not self.begun:
            self.begun = True
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": f"{event}\n".encode(), "more_body": more})
