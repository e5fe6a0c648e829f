"""One proxied connection: two endpoints, two pipes, and the ways it can end.

A half-close is passed on, an RST is passed on as an RST, and each accepted connection is dialled on its own, with a deadline.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from chaos.proxy.message.joint import Joint
from chaos.proxy.pipe import Pipe
from chaos.proxy.seating import stage_for
from chaos.proxy.sockets import abort, never_linger, own_port, peer_of, reset_on_close, tune
from chaos.proxy.stage import MS, End
from chaos.proxy.timers import Timer

if TYPE_CHECKING:
    from chaos.proxy.proxy import Proxy
    from chaos.proxy.toxic import Toxic

__all__ = ["Connection"]

READ_BYTES = 64 * 1024


class Endpoint(asyncio.Protocol):
    """One side: `outward` carries what it sends to the other side, `inward` what the other side sends to it."""

    __slots__ = ("connection", "data_received", "inward", "outward", "transport")

    def __init__(self, connection: Connection, outward: Pipe, inward: Pipe) -> None:
        self.connection: Connection | None = connection
        # The loop calls the pipe itself: one call less for each chunk.
        self.data_received = outward.feed  # type: ignore[method-assign]
        self.outward = outward
        self.inward = inward
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.connection is None:
            cast("asyncio.Transport", transport).abort()
            return
        self.transport = cast("asyncio.Transport", transport)
        self.connection.joined(self, self.transport)

    def eof_received(self) -> bool:
        self.outward.feed_end()
        return True

    def pause_writing(self) -> None:
        self.inward.sink_full(True)

    def resume_writing(self) -> None:
        self.inward.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.connection is not None:
            self.connection.lost(exc)


class Connection:
    """`number` counts the proxy's connections from 1, `id` those of the whole server.

    States: dialling, open, closing (bytes to flush), gone.
    """

    def __init__(self, proxy: Proxy, number: int, client_socket: socket.socket) -> None:
        self.proxy = proxy
        self.number = number
        self.id = next(proxy.server.connection_ids)
        self.peer = peer_of(client_socket)
        self.opened_ns = time.monotonic_ns()
        self.closing = False
        self.unserved = False
        self.framed = False
        self._socket: socket.socket | None = client_socket
        self._dial: asyncio.Task[None] | None = None
        self._fins = 0
        self._redraws: dict[str, int] = {}
        self._linger: Timer | None = None
        self._joint: Joint | None = None
        timers = proxy.server.timers
        self.up = Pipe(">", timers, self._ended, self._acted)
        self.down = Pipe("<", timers, self._ended, self._acted)
        self.client = Endpoint(self, self.up, self.down)
        self.upstream = Endpoint(self, self.down, self.up)
        self.observer = proxy.observe(self)

    def __repr__(self) -> str:
        return (
            f"<Connection {self.proxy.name}#{self.number} {self.state} up={self.up.received} down={self.down.received}>"
        )

    @property
    def state(self) -> str:
        """`dialling`, `held` (accepted, never dialled), `open` or `closing`."""
        if self.closing:
            return "closing"
        if self.unserved or (self._joint is not None and self._joint.late):
            return "held"
        return "open" if self.upstream.transport is not None else "dialling"

    # Opening.

    def start(self, *, dial: bool) -> None:
        """Dial the upstream and join both sides; without `dial` the client is only listened to."""
        self.unserved = not dial
        self._dial = self.proxy.server.spawn(self._open(dial=dial))

    async def _open(self, *, dial: bool) -> None:
        loop = asyncio.get_running_loop()
        try:
            if dial:
                await self._dial_upstream(loop)
            client_socket, self._socket = self._socket, None
            if client_socket is not None:
                await loop.connect_accepted_socket(lambda: self.client, client_socket)
        except (OSError, ValueError, OverflowError):
            # TimeoutError is an OSError; the others are addresses that no resolver can take.
            self.finish("dial-failed")
        finally:
            self._dial = None

    async def _dial_upstream(self, loop: asyncio.AbstractEventLoop) -> None:
        host, _, port = self.proxy.upstream.rpartition(":")
        path = self.proxy.unix(self.proxy.upstream)
        async with asyncio.timeout(self.proxy.server.options.dial_timeout_ms / 1000):
            if path is not None:
                await loop.create_unix_connection(lambda: self.upstream, path)
                return
            await loop.create_connection(lambda: self.upstream, host.strip("[]") or "localhost", int(port))

    def joined(self, endpoint: Endpoint, transport: asyncio.Transport) -> None:
        """A side's transport is there."""
        if self.closing:
            transport.abort()
            return
        # Bounds how long one read can keep the loop; the default of 256 KiB also goes through mmap.
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        tune(transport)
        endpoint.outward.source = transport
        endpoint.inward.connect(transport)
        if endpoint is self.client:
            self.observer.opened(own_port(self.upstream.transport))
            self.proxy.server.events.emit(
                "connection.open", proxy=self.proxy.name, connection=self.number, id=self.id, client=self.peer
            )

    def turn_away(self, status: str, fault: str = "") -> None:
        """Accepted, and that is all: a FIN at once, or (`rst`) an RST.

        What the client said so far is read, or the kernel would answer a FIN with an RST.
        """
        self.observer.opened()
        if status == "rst":
            self.reset(status, fault)
            return
        sock = self._socket
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                sock.recv(READ_BYTES)
        self.finish(status, fault)

    # Toxics.

    def attach(self, toxic: Toxic) -> None:
        """Let an active toxic take hold, if its draw says so."""
        if self.closing or toxic.kind.stage is None or not self._affected(toxic):
            return
        for pipe in self._pipes(toxic):
            pipe.insert(toxic, stage_for(toxic, self, pipe, time.monotonic_ns()))

    def update(self, toxic: Toxic) -> None:
        """A toxic changed: attributes, or whether it takes hold here."""
        holds = any(seat.toxic is toxic for pipe in self._pipes(toxic) for seat in pipe.seats)
        affects = self._affected(toxic)
        if holds and not affects:
            self.detach(toxic)
        elif affects and not holds:
            self.attach(toxic)
        else:
            for pipe in self._pipes(toxic):
                pipe.update(toxic)

    def redraw(self, toxic: Toxic) -> None:
        """Decide again whether the toxic takes hold; if it lets go, that is not its end."""
        affected = self._affected(toxic)
        self._redraws[toxic.name] = self._redraws.get(toxic.name, 0) + 1
        if affected and not self._affected(toxic):
            for pipe in self._pipes(toxic):
                pipe.remove(toxic, spare=True)
        elif self._affected(toxic) and not affected:
            self.attach(toxic)

    def _affected(self, toxic: Toxic) -> bool:
        return toxic.affects(self.proxy.name, self.number, self._redraws.get(toxic.name, 0))

    def detach(self, toxic: Toxic) -> None:
        """The toxic is gone; what it held goes on."""
        for pipe in self._pipes(toxic):
            pipe.remove(toxic)
        if self._joint is not None:
            self._joint.heal(toxic)
        if toxic.kind.accepts_silently and self.unserved and not self.closing:
            # It was accepted and never dialled: there is nobody it could go on with.
            self.reset("rst", toxic.fault)

    def silenced(self) -> list[Toxic]:
        """Toxics that are gone and have left a direction silent for good."""
        left = (seat.toxic for pipe in (self.up, self.down) for seat in pipe.seats if seat.stage.stays)
        return [cast("Toxic", toxic) for toxic in left]

    def direct(self) -> None:
        """Message faults may act here from the next moment on at which nothing is under way, unless nobody is there who could answer."""
        if self.closing or self.unserved:
            return
        self._joint = self._joint or Joint(self)
        self._joint.arm()

    def meet(self, toxic: Toxic) -> bool:
        """Have a message fault act on the connection as it is made; False if that goes on as any other."""
        self._joint = self._joint or Joint(self)
        return self._joint.meet(toxic)

    def undirect(self) -> None:
        """There are no message faults any more."""
        if self._joint is not None and not self.closing:
            self._joint.disarm()

    def _pipes(self, toxic: Toxic) -> list[Pipe]:
        return [self.up if direction == ">" else self.down for direction in toxic.kind.directions(toxic.stream)]

    # Ending.

    def _acted(self, direction: str, fault: str) -> None:
        self.observer.acted(direction, fault)

    def _ended(self, pipe: Pipe, end: End, fault: str) -> None:
        """An end got through a pipe."""
        if end is End.FIN and pipe is self.down:
            self.observer.reply_ended()
        if end is End.RESET:
            self.reset("rst", fault)
        elif end is End.CUT:
            self._cut(pipe, fault)
        elif end is End.CLOSE or self.proxy.server.options.strict:
            self.finish("fin", fault)
        else:
            self._half_close(pipe)

    def _half_close(self, pipe: Pipe) -> None:
        self._fins += 1
        if self._fins == 2:
            self.finish("fin")
        elif pipe.sink is not None and pipe.sink.can_write_eof():
            pipe.sink.write_eof()

    def lost(self, exc: Exception | None) -> None:
        """A side's socket is closed, by us or by an error."""
        if self.closing:
            self._maybe_gone()
        elif self.proxy.server.options.strict:
            self.finish("fin")
        else:
            self.reset("rst" if exc is not None else "fin")

    def reset(self, status: str, fault: str = "") -> None:
        """RST to both sides, at once."""
        for endpoint in (self.client, self.upstream):
            abort(endpoint.transport)
        if self._socket is not None:
            never_linger(self._socket)
        self.finish(status, fault)

    def _cut(self, pipe: Pipe, fault: str) -> None:
        """RST to both sides; to the one that the pipe leads to when what is already written has gone to its socket."""
        sink = pipe.sink
        if sink is None or not sink.get_write_buffer_size():
            self.reset("rst", fault)
            return
        reset_on_close(sink)
        abort(pipe.source)
        self.finish("rst", fault)

    def finish(self, status: str, fault: str = "") -> None:
        """Close both sides after what is already written; a peer that does not read is given up after a while."""
        if self.closing:
            return
        self.closing = True
        self._tell_closed(status, fault, self.up.received + self.down.received)
        for endpoint in (self.client, self.upstream):
            if endpoint.transport is not None:
                endpoint.transport.close()
        self._drop_dial()
        for pipe in (self.up, self.down):
            self.proxy.count(pipe)
            pipe.close()
        if not self._maybe_gone():
            self._linger = self.proxy.server.timers.at(
                time.monotonic_ns() + round(self.proxy.server.options.linger_ms * MS), self._give_up
            )

    def _tell_closed(self, status: str, fault: str, received: int) -> None:
        self.observer.closed(status, fault, received)
        self.proxy.server.events.emit(
            "connection.close", proxy=self.proxy.name, connection=self.number, id=self.id, client=self.peer,
            status=status, fault=fault or None, received_bytes=received,
        )  # fmt: skip

    def _drop_dial(self) -> None:
        client_socket, self._socket = self._socket, None
        if client_socket is not None:
            client_socket.close()
        if self._dial is not None and self._dial is not asyncio.current_task():
            self._dial.cancel()
        if self._joint is not None:
            self._joint.close()

    def _release(self) -> None:
        """Untie the knot of parts, so that they go without the garbage collector, which may stand still."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        for endpoint in (self.client, self.upstream):
            endpoint.connection = None
        for pipe in (self.up, self.down):
            pipe.release()
        if self._joint is not None:
            self._joint.untie()
            self._joint = None

    def _give_up(self) -> None:
        for endpoint in (self.client, self.upstream):
            abort(endpoint.transport)

    def _maybe_gone(self) -> bool:
        gone = self.client.transport is None and self.upstream.transport is None
        if gone:
            self._release()
            self.proxy.forget(self)
        return gone
