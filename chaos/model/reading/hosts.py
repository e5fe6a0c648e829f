"""Addresses in link maps, and which of them leave this machine."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from chaos.model.link import Link

__all__ = ["beyond_loopback", "is_loopback", "split_address"]

_ADDRESS = re.compile(r"(?P<host>[^:\[\]\s]+|\[[0-9A-Fa-f:.%]+\]):(?P<port>[0-9]{1,5})")


def split_address(address: str) -> tuple[str, int]:
    """Host (without brackets) and port. Raises ValueError for anything that is not host:port."""
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{address[:60]!r} is not an address")
    return match["host"].strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its text alone: localhost, 127.0.0.0/8, ::1."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def beyond_loopback(links: Iterable[Link], allow_hosts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of link and host for every address that leaves this machine and is not allowed by name."""
    allowed = {host.casefold() for host in allow_hosts}
    found: dict[tuple[str, str], None] = {}
    for link in links:
        for address in (link.listen, link.upstream):
            host = split_address(address)[0] if address else "localhost"
            if not is_loopback(host) and host.casefold() not in allowed:
                found[link.name, host] = None
    return tuple(found)
