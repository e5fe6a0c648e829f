"""A tiny HTTP backend on asyncio: answers what the driver asks, rightly or as wrongly as a test wants."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from chaos.workloads import Endpoints
from chaos.workloads.identity import answer_digest
from tests.listening import listening, reset
from tests.workloads.rig import HANG_S, KEY

_NONCE = re.compile(r"nonce-[0-9a-f]{16}")


@dataclass(slots=True)
class Asked:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass(slots=True)
class Replied:
    """A response to be sent."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # announce more than is sent, then close
    raw: bytes | None = None  # these bytes instead of a response, then close


Handler = Callable[[Asked], Replied]


def envelope(message_type: str, **data: object) -> Replied:
    """An ok answer of ours."""
    return Replied(body=msgspec.json.encode({"schema_version": 1, "message_type": message_type, "data": data}))


def problem(status: int, code: str, dependency: str | None = None, **members: object) -> Replied:
    """An error as problem details."""
    data = {"type": "about:blank", "title": code, "status": status, "code": code, "dependency": dependency, **members}
    return Replied(status=status, body=msgspec.json.encode(data), content_type="application/problem+json")


def digests(asked: Asked) -> str:
    """What a model answers: the digest of every nonce in the request."""
    return " ".join(answer_digest(KEY.encode(), one) for one in _NONCE.findall(asked.body.decode()))


def well(asked: Asked) -> Replied:
    """The right answer to chat completions and documents."""
    if asked.path == "/v1/documents":
        return envelope(
            "document.ingested", doc_id=msgspec.json.decode(asked.body)["data"]["doc_id"], chunks=1, dimension=64
        )
    if asked.path == "/v1/chat/completions":
        choices = [{"message": {"role": "assistant", "content": digests(asked)}}]
        return Replied(body=msgspec.json.encode({"object": "chat.completion", "choices": choices}))
    return Replied(body=b"{}")


class StandIn:
    """The backend's knobs. While `gate` is closed, requests wait; `asked` holds the application requests."""

    def __init__(self) -> None:
        self.handler: Handler = well
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Asked] = []
        self.url = ""
        self.connections = 0
        self._first = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def endpoints(self) -> Endpoints:
        """The same server behind both doors."""
        return Endpoints(api=self.url, gateway=self.url)

    async def until_asked(self) -> None:
        """Wait for the first application request."""
        await asyncio.wait_for(self._first.wait(), HANG_S)

    def reset(self) -> None:
        """RST on every live connection."""
        for writer in self._writers:
            reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive."""
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        finally:
            self._writers.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = head[0].split(" ")
        asked = Asked(path, headers, body, method)
        if asked.path != "/healthz":
            self.asked.append(asked)
            self._first.set()
            await self.gate.wait()
        reply = self.handler(asked)
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        length = len(reply.body) + (100 if reply.cut else 0)
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        start = f"HTTP/1.1 {reply.status} X\r\ncontent-type: {reply.content_type}\r\ncontent-length: {length}\r\n{extra}\r\n"
        writer.write(start.encode() + reply.body)
        await writer.drain()
        return not reply.cut


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """A backend on a free port."""
    backend = StandIn()
    async with listening(backend.serve) as server:
        backend.url = f"http://{server.address}"
        yield backend
