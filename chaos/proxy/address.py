"""Listen addresses as Go's `net` package reads, resolves and words them: clients compare those texts."""

from __future__ import annotations

import asyncio
import errno
import socket

from chaos.proxy.errors import ListenError

__all__ = [
    "UNIX", "Address", "bind_address", "bind_error", "bind_words", "format_address", "resolve_listen", "split_host_port",
    "unix_path",
]  # fmt: skip

#: Family and address for `bind`: (host, port) or (host, port, 0, 0).
Address = tuple[socket.AddressFamily, tuple[str, int]]

UNIX = "unix:"
"""Begins an address that is the path of a unix socket; Toxiproxy has no such addresses."""

RESOLVE_S = 5.0
_BIND_WORDS = {
    errno.EADDRINUSE: "address already in use",
    errno.EADDRNOTAVAIL: "cannot assign requested address",
    errno.EACCES: "permission denied",
}


def unix_path(text: str) -> str | None:
    """The path of `unix:PATH`, None for any other address."""
    return text.removeprefix(UNIX) if text.startswith(UNIX) and text != UNIX else None


def split_host_port(text: str) -> tuple[str, str]:
    """Host and port of `host:port` or `[v6]:port`. Raises ListenError in Go's words."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ListenError(f"address {text}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], port
    if ":" in host:
        raise ListenError(f"address {text}: too many colons in address")
    return host, port


async def resolve_listen(text: str) -> tuple[str, int]:
    """Host and port as numbers; the host stays empty where it was. Raises ListenError, without the prefix `listen tcp: `."""
    host, port_text = split_host_port(text or ":0")
    port = _port(port_text)
    if host == "":
        return "", port
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"lookup {host}: no such host") from error
    # Like Go, prefer IPv4 for a name.
    _, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return str(address[0]), port


def bind_address(host: str, port: int) -> Address:
    """What to bind for a resolved host: no host, or IPv4's any, is every address of both families."""
    if host in {"", "0.0.0.0"} and socket.has_dualstack_ipv6():
        return socket.AF_INET6, ("::", port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, (host or "0.0.0.0", port)


def _port(text: str) -> int:
    try:
        port = int(text or "0")
    except ValueError:
        raise ListenError(f"lookup tcp/{text}: unknown port") from None
    if not 0 <= port <= 65535:
        raise ListenError(f"address {text}: invalid port")
    return port


def format_address(host: str, port: int) -> str:
    """`host:port`, with brackets round an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_error(address: Address, error: OSError) -> ListenError:
    """What Go says when an address cannot be bound."""
    host, port = address[1]
    return ListenError(f"listen tcp {format_address(host, port)}: bind: {bind_words(error)}")


def bind_words(error: OSError) -> str:
    """Go's words for an error of `bind`."""
    return _BIND_WORDS.get(error.errno or 0, (error.strerror or str(error)).lower())
