"""Connect to whichever kind of proxy answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.links.embedded import connect_embedded
from chaos.links.http import CALL_WITHIN_S, ApiError, open_api
from chaos.links.port import LinkControl
from chaos.links.toxiproxy import connect_toxiproxy

__all__ = ["connect_links", "is_ours"]


async def is_ours(base_url: str, *, call_within_s: float = CALL_WITHIN_S) -> bool:
    """Whether the proxy at `http://host:port` is one of ours; else it answers like a toxiproxy-server. Raises ProxyError."""
    async with open_api(base_url, call_within_s=call_within_s) as api:
        try:
            await api.call("GET", "/chaos/now")
        except ApiError as error:
            if error.status != 404:
                raise
            return False
    return True


@asynccontextmanager
async def connect_links(base_url: str, *, call_within_s: float = CALL_WITHIN_S) -> AsyncIterator[LinkControl]:
    """Control the proxy at `http://host:port`: one of ours with all it can do, else a toxiproxy-server. Raises ProxyError."""
    connect = connect_embedded if await is_ours(base_url, call_within_s=call_within_s) else connect_toxiproxy
    async with connect(base_url, call_within_s=call_within_s) as control:
        yield control
