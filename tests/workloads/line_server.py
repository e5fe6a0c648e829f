"""Small servers that speak lines: a cache in the manner of Redis, and a mail server that speaks first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.listening import listening, reset
from tests.workloads.rig import HANG_S

__all__ = ["LineServer", "Peer", "cache", "mail", "serving_lines"]


class Peer:
    """The server's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def line(self) -> str:
        """The next line of the client, without its end."""
        return (await self.reader.readuntil(b"\n")).decode().rstrip("\r\n")

    async def say(self, text: str | bytes) -> None:
        """Send it, however the client takes it."""
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    def reset(self) -> None:
        """RST."""
        reset(self.writer)


Talk = Callable[[Peer], Awaitable[None]]


class LineServer:
    """Counts connections; `ended` is set when the first of them is over."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.url = ""
        self.connections = 0
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            await self.talk(Peer(reader, writer))
        finally:
            self.ended.set()

    async def until_ended(self) -> None:
        """Wait until a connection was over."""
        async with asyncio.timeout(HANG_S):
            await self.ended.wait()


@asynccontextmanager
async def serving_lines(talk: Talk) -> AsyncIterator[LineServer]:
    """A server on a free port that talks like that on every connection."""
    lines = LineServer(talk)
    async with listening(lines.serve) as server:
        lines.url = f"tcp://{server.address}"
        yield lines


async def cache(peer: Peer, values: dict[str, str] | None = None) -> None:
    """Inline commands of the Redis protocol: PING, SET, GET, INCR, AUTH."""
    values = {} if values is None else values
    while True:
        command, *args = (await peer.line()).split(" ")
        match command.upper():
            case "PING":
                await peer.say("+PONG\r\n")
            case "SET":
                values[args[0]] = args[1]
                await peer.say("+OK\r\n")
            case "GET" if args[0] in values:
                await peer.say(f"${len(values[args[0]])}\r\n{values[args[0]]}\r\n")
            case "GET":
                await peer.say("$-1\r\n")
            case other:
                await peer.say(f"-ERR unknown command '{other}'\r\n")


async def mail(peer: Peer) -> None:
    """A mail server: greets, lists what it can in several lines, takes one message."""
    await peer.say("220-mail.example\r\n220 ready\r\n")
    while True:
        line = await peer.line()
        match line.split(" ")[0].upper():
            case "EHLO":
                await peer.say("250-mail.example\r\n250-SIZE 1000\r\n250 HELP\r\n")
            case "DATA":
                await peer.say("354 go on\r\n")
                while await peer.line() != ".":
                    pass
                await peer.say("250 2.0.0 queued\r\n")
            case "QUIT":
                await peer.say("221 bye\r\n")
                return
            case "MAIL" | "RCPT":
                await peer.say("250 2.1.0 ok\r\n")
            case _:
                await peer.say("500 what?\r\n")
