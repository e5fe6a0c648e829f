"""Pieces of a stream put together: frames of the wire log (four bytes of length, big-endian, then that many bytes), and lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from chaos.errors import ProxyError

__all__ = ["records_since", "split_frames", "split_lines"]


async def split_frames(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The frames of a stream that comes in any pieces. Raises ProxyError if it ends inside one."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        start = 0
        while len(held) - start >= 4:
            stop = start + 4 + int.from_bytes(held[start : start + 4], "big")
            if len(held) < stop:
                break
            yield bytes(held[start + 4 : stop])
            start = stop
        del held[:start]
    if held:
        raise ProxyError(f"the wire log ended inside a frame ({len(held)} bytes of it)")


async def split_lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a stream that comes in any pieces, without their ends. Raises ProxyError if it ends inside one."""
    held = b""
    async for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            yield line
    if held:
        raise ProxyError(f"the stream ended inside a line ({len(held)} bytes of it)")


def records_since(batch: bytes, since_ns: int) -> bytes:
    """What of a batch of the wire log is not older than that moment; empty if nothing is."""
    records: list[list[Any]] = msgspec.msgpack.decode(batch)
    kept = [record for record in records if record[0] >= since_ns]
    if len(kept) == len(records):
        return batch
    return msgspec.msgpack.encode(kept) if kept else b""
