"""A connection on transports that only remember, so that any conversation can be led past any message faults, step by step."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import Options, Proxy, ProxySettings, ToxicSpec
from chaos.proxy.connection import Connection
from chaos.proxy.server import Server
from tests.proxy.wire_records import take_records


class Line(asyncio.Transport):
    """One side's socket: what was written, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.got = b""
        self.ending = ""
        self.paused = False

    def write(self, data: Any) -> None:
        self.got += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ending = "fin"

    def close(self) -> None:
        self.ending = self.ending or "closed"

    def abort(self) -> None:
        self.ending = "rst"

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_write_buffer_size(self) -> int:
        return 0


class Directed:
    """`out` is what each side was sent: `>` the callee, `<` the caller."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.connection = Connection(proxy, 1, socket.socket())
        proxy._connections[1] = self.connection
        self.lines = {"<": Line(), ">": Line()}
        self.connection._socket.close()  # type: ignore[union-attr]
        self.connection._socket = None
        self.connection.upstream.connection_made(self.lines[">"])
        self.connection.client.connection_made(self.lines["<"])

    @property
    def out(self) -> dict[str, bytes]:
        """Bytes by direction."""
        return {direction: line.got for direction, line in self.lines.items()}

    @property
    def ended(self) -> bool:
        """Whether the connection is gone."""
        return self.connection.closing

    @property
    def owes(self) -> bool:
        """Whether there is a director who still has an answer to make up, or one to swallow."""
        joint = self.connection._joint
        return not self.ended and joint is not None and joint._director is not None and joint._director._owes()

    def feed(self, direction: str, data: bytes) -> None:
        """A chunk came from that side; nothing comes of one that is gone."""
        if not self.ended:
            (self.connection.client if direction == ">" else self.connection.upstream).data_received(data)

    def end(self, direction: str) -> None:
        """That side said all it had to say."""
        if not self.ended:
            (self.connection.client if direction == ">" else self.connection.upstream).eof_received()

    def fault(self, type_: str, **members: Any) -> str:
        """Add one; its name."""
        return self.proxy.add_toxic(ToxicSpec(type=type_, **members)).name

    def heal(self) -> None:
        """End all of them."""
        self.proxy.reset_toxics()

    def records(self) -> list[WireRecord]:
        """Everything told, without times."""
        told = take_records(self.proxy.server)
        return [msgspec.structs.replace(one, t_ns=0) for one in told if one.kind not in {"on", "off"}]


@asynccontextmanager
async def directed(protocol: Protocol) -> AsyncIterator[Directed]:
    """One connection of a proxy that listens nowhere."""
    server = Server(Options())
    one = Directed(Proxy(server, ProxySettings(name="a>b", upstream="u:1", protocol=protocol)))
    try:
        yield one
    finally:
        one.heal()
        one.connection.finish("killed")
        for line in (one.connection.client, one.connection.upstream):
            line.connection_lost(None)
        await server.close()
