"""The recorder's log with marks, and what is told beside it as soon as it is: an idle link tells nothing itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import anyio.abc

from chaos.errors import ProxyError
from chaos.links.marking import Marker

__all__ = ["MarkedWire"]


class MarkedWire:
    """One for each control: what its marker tells goes to one reader."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self.marker = Marker(self._wake)
        self._group = group
        self._news = anyio.Event()

    async def frames(self, recorded: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Both, until the recorder's log ends. Raises ProxyError when it breaks off."""
        into, out = anyio.create_memory_object_stream[bytes](0)
        scope, broken = anyio.CancelScope(), list[ProxyError]()
        self._group.start_soon(self._feed, recorded, into, scope, broken)
        with out:
            try:
                async for frame in out:
                    for told in self.marker.take():
                        yield told
                    if frame:
                        yield frame
            finally:
                scope.cancel()  # before the stream is closed: who feeds it must not find it broken
        for told in self.marker.take():
            yield told
        if broken:
            raise broken[0]

    async def _feed(
        self,
        recorded: AsyncGenerator[bytes, None],
        into: anyio.abc.ObjectSendStream[bytes],
        scope: anyio.CancelScope,
        broken: list[ProxyError],
    ) -> None:
        with scope:
            async with into, aclosing(recorded), anyio.create_task_group() as both:
                both.start_soon(self._feed_news, into)
                try:
                    async for frame in recorded:
                        await into.send(self.marker.mark(frame))
                except ProxyError as error:
                    broken.append(error)
                both.cancel_scope.cancel()

    async def _feed_news(self, into: anyio.abc.ObjectSendStream[bytes]) -> None:
        """An empty frame whenever there is something to take: one that is lost on the way loses nothing."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            await into.send(b"")

    def _wake(self) -> None:
        self._news.set()
