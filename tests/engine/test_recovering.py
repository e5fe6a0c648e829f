"""What `recover` says of a dead run's proxy: gone only where nobody listens any more."""

from __future__ import annotations

import asyncio
import socket

from chaos.engine.leases import StoredLease
from chaos.engine.recovering import _heal_lease
from tests.listening import listening


def lease(port: int) -> StoredLease:
    """Of a run whose conductor is dead."""
    return StoredLease(run_id="r", pid=1, start_ticks=1, proxy_url=f"http://127.0.0.1:{port}", links=("a>b",))


async def test_a_proxy_that_is_gone_took_its_faults_along() -> None:
    """Its port refuses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    text, clean = await _heal_lease(lease(port), dry_run=False)
    assert clean
    assert "is gone, and its faults with it" in text


async def test_a_proxy_that_answers_nonsense_is_not_gone() -> None:
    """Somebody listens there: whether a fault is left is not known, and the lease stays."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with listening(serve) as server:
        text, clean = await _heal_lease(lease(server.port), dry_run=False)
    assert not clean
    assert "is not known" in text
