"""A listening address that can refuse without giving its port away.

A bound socket that does not listen holds the port for as long as the proxy is enabled: connects to it are refused, and nobody
else is given the port. The listening socket beside it comes and goes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable

from chaos.proxy.address import Address, bind_error, format_address

__all__ = ["BACKLOG", "Acceptor", "Listener"]

BACKLOG = 1024
# One turn of the loop accepts at most this many, so that a storm does not starve the connections that are there.
ACCEPTS_PER_TURN = 64
RETRY_S = 0.1
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Two sockets may be bound to one address on Linux while only one of them listens; elsewhere the holder steps aside.
_CAN_HOLD_WHILE_LISTENING = sys.platform.startswith("linux")


class Acceptor:
    """Hands accepted sockets on, so many a turn, and waits when there are no descriptors left."""

    def __init__(self, accepted: Callable[[socket.socket], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepted = accepted
        self._socket: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None

    @property
    def text(self) -> str:
        """The address as the API shows it."""
        raise NotImplementedError

    def open(self) -> None:
        """Accept connections. Raises ListenError."""
        raise NotImplementedError

    def refuse(self) -> None:
        """Refuse connections, keep the address."""
        raise NotImplementedError

    def close(self) -> None:
        """Refuse connections and let go of the address."""
        raise NotImplementedError

    def _watch(self, listening: socket.socket) -> None:
        self._socket = listening
        self._loop.add_reader(listening.fileno(), self._accept)

    def _stop(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            listening = self._socket
            if listening is None:
                return
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(listening)
                return
            sock.setblocking(False)
            self._accepted(sock)

    def _pause(self, listening: socket.socket) -> None:
        """No descriptors left: the backlog waits until some are free."""
        self._loop.remove_reader(listening.fileno())
        self._retry = self._loop.call_later(RETRY_S, self._resume)

    def _resume(self) -> None:
        self._retry = None
        if self._socket is not None:
            self._loop.add_reader(self._socket.fileno(), self._accept)


class Listener(Acceptor):
    """Bound on construction (raises ListenError); `open()` listens, `refuse()` stops, `close()` gives the port back."""

    def __init__(self, address: Address, accepted: Callable[[socket.socket], None]) -> None:
        super().__init__(accepted)
        self._family, self._address = address
        self._holder: socket.socket | None = self._bind()
        self._address = self._holder.getsockname()

    @property
    def text(self) -> str:
        """`host:port` as bound."""
        return format_address(self._address[0], self._address[1])

    def open(self) -> None:
        """Accept connections. Raises ListenError."""
        if self._socket is None:
            if not _CAN_HOLD_WHILE_LISTENING:
                self._drop_holder()
            self._watch(self._bind(listen=True))

    def refuse(self) -> None:
        """Refuse connections, keep the port."""
        self._stop()
        if self._holder is None:
            self._holder = self._bind()

    def close(self) -> None:
        """Refuse connections and let go of the port."""
        self._stop()
        self._drop_holder()

    def _drop_holder(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def _bind(self, *, listen: bool = False) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._family == socket.AF_INET6:
                only_v6 = self._address[0] != "::"
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only_v6))
            sock.bind(self._address)
            if listen:
                sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise bind_error((self._family, (self._address[0], self._address[1])), error) from error
        return sock
