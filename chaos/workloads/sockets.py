"""TCP as the driver speaks it to systems that are not ours: a connection one reads from, and a place that keeps connections for later."""

from __future__ import annotations

import asyncio
import errno
import time
from collections import deque
from urllib.parse import urlsplit

from chaos.errors import NotReadyError
from chaos.model.operation import Answer
from chaos.workloads.answers import driver_failure

__all__ = ["Dialer", "TooLongError", "Wire", "broken", "dial_of", "unreachable"]

MAX_ANSWER_BYTES = 8 * 1024 * 1024
_UNREAD_BYTES = 256 * 1024  # read ahead this far; then the peer has to wait
_RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class TooLongError(Exception):
    """The peer sent more than an answer may hold."""


class Wire(asyncio.Protocol):
    """One connection. Reads wait for as long as the caller's cancel scope lets them.

    They raise EOFError once the peer has closed, the OSError of a broken connection, and TooLongError.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._ended = False
        self.fresh = True
        """Whether nothing was done with it yet."""
        self.idle_since_s = 0.0

    def __repr__(self) -> str:
        return f"<Wire {'ended' if self._ended else 'open'}, {len(self._buffer)} bytes unread>"

    @property
    def usable(self) -> bool:
        """Whether it is open, and nothing is left over from before."""
        open_ = not self._ended and self._transport is not None and not self._transport.is_closing()
        return open_ and not self._buffer

    # --- The loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._buffer += data
        if len(self._buffer) > _UNREAD_BYTES and self._transport is not None and self._waiter is None:
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over; also after the peer's FIN."""
        self._ended, self._error = True, exc
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- The caller's side.

    def send(self, data: bytes) -> None:
        """Send it all. Raises EOFError or OSError for a connection that is over."""
        if self._ended or self._transport is None or self._transport.is_closing():
            raise self._error or EOFError
        self.fresh = False
        self._transport.write(data)

    async def read(self) -> bytes:
        """What is there, or the next bytes to come."""
        while not self._buffer:
            await self._more()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    async def read_line(self) -> bytes:
        """The next line without its end; what the peer closed after is a line too, unless it is empty."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if self._ended and self._error is None and self._buffer:
                return self._take(len(self._buffer)).rstrip(b"\r")
            await self._more()
        return self._take(end + 1)[:-1].removesuffix(b"\r")

    async def read_as_far_as(self, wanted: bytes) -> bytes:
        """The next bytes, as many as `wanted` has, or up to the first that is another."""
        while len(self._buffer) < len(wanted) and wanted.startswith(self._buffer):
            await self._more()
        return self._take(min(len(wanted), len(self._buffer)))

    def close(self) -> None:
        """Close at once; what was not sent yet is not sent."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _more(self) -> None:
        if self._ended:
            raise self._error or EOFError
        if len(self._buffer) > MAX_ANSWER_BYTES:
            raise TooLongError
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter = None


class Dialer:
    """Connections to one address. Those that are given back are kept for `idle_s` seconds at most, and the last one is used first."""

    def __init__(self, host: str, port: int, *, idle_s: float, keep: int = 64) -> None:
        self.host = host
        self.port = port
        self._idle_s = idle_s
        self._keep = keep
        self._idle: deque[Wire] = deque()

    def __repr__(self) -> str:
        return f"<Dialer {self.host}:{self.port}, {len(self._idle)} idle>"

    async def dial(self) -> Wire:
        """A kept connection, or a new one. Raises OSError when there is nobody."""
        while self._idle:
            wire = self._idle.pop()
            if wire.usable and time.monotonic() - wire.idle_since_s < self._idle_s:
                return wire
            wire.close()
        return await self.dial_new()

    async def dial_new(self) -> Wire:
        """A new connection. Raises OSError when there is nobody."""
        _, wire = await asyncio.get_running_loop().create_connection(Wire, self.host, self.port)
        return wire

    def keep(self, wire: Wire) -> None:
        """Take a connection back, for later use if it can be used again."""
        if not wire.usable:
            wire.close()
            return
        wire.idle_since_s = time.monotonic()
        self._idle.append(wire)
        if len(self._idle) > self._keep:
            self._idle.popleft().close()

    def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            self._idle.pop().close()


def dial_of(url: str, *, idle_s: float) -> Dialer:
    """The dialer of a link's URL. Raises NotReadyError for one without host and port, or with TLS."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "tcp") or parts.hostname is None or parts.port is None:
        raise NotReadyError(
            f"the driver cannot speak to {parts.scheme}://{parts.hostname}: it needs http or tcp, host and port"
        )
    return Dialer(parts.hostname, parts.port, idle_s=idle_s)


def unreachable(error: OSError) -> Answer:
    """The answer of an operation that found nobody: nothing was sent."""
    return driver_failure("connect-refused", f"{type(error).__name__}: {error}")


def broken(error: Exception) -> Answer:
    """The answer of an operation whose connection broke, by what the socket said."""
    if isinstance(error, TooLongError):
        return driver_failure("protocol", f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    if isinstance(error, EOFError):
        return driver_failure("closed", "the connection was closed before the answer was complete")
    reset = isinstance(error, OSError) and error.errno in _RESET
    return driver_failure("connection-reset" if reset else "closed", f"{type(error).__name__}: {error}")
