"""Ports that stay ours from the moment they are chosen until the run ends.

A port freed by closing a socket is given to somebody else within seconds on a busy machine. So a port is held by a bound
socket that does not listen: connections are refused, nobody else gets the port, and on Linux a child that sets
SO_REUSEADDR as well (Postgres, Go programs and asyncio servers all do) can listen on it all the same.
"""

from __future__ import annotations

import socket
import sys
from typing import NamedTuple, Self

__all__ = ["Address", "PortHold", "reserve_port"]

SHARED_HOLD = sys.platform == "linux"
"""Whether a child can listen on a port while we hold it."""


class Address(NamedTuple):
    """A TCP endpoint, written `host:port`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PortHold:
    """A port bound by us and not listening. Release it by `close` or leaving its `with` block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        host, port = sock.getsockname()[:2]
        self.address = Address(host, port)

    def __repr__(self) -> str:
        return f"<PortHold {self.address} {'released' if self._sock.fileno() < 0 else 'held'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hand_over(self) -> None:
        """Call just before the child starts: gives the port up where it cannot be shared (anything but Linux).

        There the child may find it taken: start it again when its log says "address already in use".
        """
        if not SHARED_HOLD:
            self.close()

    def close(self) -> None:
        """Give the port back. Safe to call twice."""
        self._sock.close()


def reserve_port(host: str = "127.0.0.1", port: int = 0) -> PortHold:
    """Choose (0) or take a port on `host` and hold it. Raises OSError if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return PortHold(sock)
