"""What the proxy asks of the sockets of a connection."""

from __future__ import annotations

import asyncio
import socket
import struct

from chaos.proxy.address import format_address

__all__ = ["abort", "never_linger", "own_port", "peer_of", "reset_on_close", "tune"]

KEEPALIVE_S = 15
"""Between probes, as Go's net package sends them."""
_LINGER_0 = struct.pack("ii", 1, 0)


def peer_of(sock: socket.socket) -> str:
    """The client's address as text; one without a name, or gone already, has none."""
    try:
        address = sock.getpeername()
    except OSError:
        return ""
    return format_address(str(address[0]), int(address[1])) if isinstance(address, tuple) else "unix:"


def own_port(transport: asyncio.Transport | None) -> int:
    """The port of our end of a connection, by which the other end knows it; 0 without one."""
    address = transport.get_extra_info("sockname") if transport is not None else None
    return address[1] if isinstance(address, tuple) else 0


def tune(transport: asyncio.Transport) -> None:
    """Small chunks go at once, and a peer that vanished without a word is noticed."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)


def abort(transport: asyncio.Transport | None) -> None:
    """Close with an RST instead of a FIN."""
    if transport is not None:
        reset_on_close(transport)
        transport.abort()


def reset_on_close(transport: asyncio.Transport) -> None:
    """Its close, whenever that comes, is an RST."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        never_linger(sock)


def never_linger(sock: socket.socket) -> None:
    """Its close drops what is not sent yet, and is an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
