"""An HTTP server that remembers what it was asked, and message faults in front of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import ToxicSpec
from tests.proxy.http_streams import get, ok

HANG_GUARD_S = 20.0
FOREVER_MS = 3_600_000
HIT = get("/hit")
ACTED = ("acted", "reply", "close")
EVENTS = [b"data: %d\n\n" % number for number in range(1, 6)]
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(number: int) -> bytes:
    """An event as its chunk, from 1."""
    return b"%x\r\n%b\r\n" % (len(EVENTS[number - 1]), EVENTS[number - 1])


def until_event(number: int) -> bytes:
    """The stream up to that event, which is left out."""
    return STREAM_HEAD + b"".join(event(one) for one in range(1, number))


STREAM = until_event(6) + b"0\r\n\r\n"


def reply_to(target: str) -> bytes:
    """What the server answers to a request that is not a stream."""
    return ok(f"this is {target}".encode())


class Server:
    """Answers requests in order; `/stream` with events, `/close` without a length and then the end. `asked` are those that came whole."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.received = b""
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, peer: Any) -> None:
        buffer = b""
        while data := await peer.recv():
            self.received += data
            buffer += data
            while match := re.match(rb"(?s)[A-Z]+ (\S+) .*?\r\n\r\n", buffer):
                length = re.search(rb"(?i)content-length: (\d+)", match[0])
                size = match.end() + (int(length[1]) if length else 0)
                if len(buffer) < size:
                    break
                body, buffer = buffer[match.end() : size], buffer[size:]
                await self._answer(peer, match[1].decode(), body)
        peer.half_close()

    async def _answer(self, peer: Any, target: str, body: bytes) -> None:
        self.asked.append((target, body))
        await self.gate.wait()
        if target == "/stream":
            await peer.send(STREAM)
        elif target == "/close":
            await peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
            peer.half_close()
        else:
            await peer.send(reply_to(target))

    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [target for target, _ in self.asked]


class MessageRig:
    """A link of HTTP with that server behind it."""

    def __init__(self, rig: Any, server: Server) -> None:
        self.rig = rig
        self.server = server
        self.records: list[WireRecord] = []

    def fault(self, type_: str, phase: str | None = None, **members: Any) -> Any:
        """Add a message fault called `f`."""
        return self.rig.proxy.add_toxic(
            ToxicSpec(type=type_, phase=phase, **{"fault": "f", "match": "/hit", **members})
        )

    def heal(self, toxic: Any) -> None:
        """End it."""
        self.rig.proxy.remove_toxic(toxic.name)

    async def connect(self) -> Any:
        """A client."""
        return await self.rig.connect()

    async def hits(self, toxic: Any, count: int = 1) -> None:
        """Until it has acted so often."""
        await until(lambda: toxic.hits >= count)

    async def told(
        self, *kinds: str, last: str = "close", count: int = 1
    ) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """Records of those kinds, as (kind, signature, status, faults), once there are so many of the last one."""

        def enough() -> bool:
            self.records += self.rig.wire()
            return sum(record.kind == last for record in self.records) >= count

        await until(enough)
        return [(one.kind, one.signature, one.status, one.faults) for one in self.records if one.kind in kinds]


async def until(true: Callable[[], bool]) -> None:
    """Look again and again."""
    async with asyncio.timeout(HANG_GUARD_S):
        while not true():
            await asyncio.sleep(0.001)


async def make_rig(rig_of: Any) -> MessageRig:
    """A new one."""
    server = Server()
    return MessageRig(await rig_of(server, protocol=Protocol.HTTP), server)


@pytest.fixture
async def http_link(rig_of: Any) -> MessageRig:
    """A link of HTTP."""
    return await make_rig(rig_of)


async def asked(client: Any, target: str) -> None:
    """An exchange that no fault touches."""
    await client.send(get(target))
    assert await client.exactly(len(reply_to(target))) == reply_to(target)


async def half_answered(link: MessageRig) -> tuple[Any, Any]:
    """Both ends of a connection on which `/gate` was asked for: the first 20 bytes of its answer are withheld, the rest is left to the test."""
    client = await link.connect()
    link.server.gate.clear()
    await client.send(get("/gate"))
    upstream = await link.rig.upstream.peer()
    await until(lambda: link.server.targets() == ["/gate"])
    await upstream.send(reply_to("/gate")[:20])
    await until(lambda: link.rig.proxy.connections()[0].down.held == 20)
    return client, upstream
