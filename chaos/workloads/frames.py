"""Reading frames from a stream of bytes, on either side of the control socket."""

from __future__ import annotations

import anyio
from anyio.abc import ByteReceiveStream
from anyio.streams.buffered import BufferedByteReceiveStream

from chaos.workloads.protocol import MAX_FRAME_BYTES

__all__ = ["FrameReader"]


class FrameReader:
    """Whole frames of a stream, one after the other."""

    def __init__(self, stream: ByteReceiveStream) -> None:
        self._stream = BufferedByteReceiveStream(stream)

    async def next(self) -> bytes | None:
        """The next payload, or None once the peer is gone (also in the middle of a frame) or sends nonsense."""
        try:
            size = int.from_bytes(await self._stream.receive_exactly(4), "big")
            return await self._stream.receive_exactly(size) if size <= MAX_FRAME_BYTES else None
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return None
