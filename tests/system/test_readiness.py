"""What answers a readiness probe may be anything."""

from __future__ import annotations

import asyncio

import pytest

from chaos.system.ports import Address
from chaos.system.readiness import http_status


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 204 No Content\r\n\r\n", 204), (b"+OK\r\n", 0), (b"", 0), (b"x" * 200_000, 0), (b"\xff" * 10, 0)],
)
async def test_only_http_has_a_status(answer: bytes, status: int) -> None:
    """Everything else is not ready, a line without an end included."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = Address(*server.sockets[0].getsockname()[:2])
        assert await http_status(address, "/") == status
