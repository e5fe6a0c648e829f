"""A line to a store: opened when it is first needed, and anew after it failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Line"]

_Store = TypeVar("_Store")
_Given = TypeVar("_Given")


class Line(Generic[_Store]):
    """Holds at most one connection; it is closed with the block."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[_Store]]) -> None:
        self._connect = connect
        self._stack = AsyncExitStack()
        self._store: _Store | None = None

    def __repr__(self) -> str:
        return f"<Line {'closed' if self._store is None else 'open'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._hang_up()

    async def ask(self, what: Callable[[_Store], Awaitable[_Given]]) -> _Given:
        """What the store answers. Raises what connecting or asking raises; the connection is not used again then."""
        try:
            if self._store is None:
                self._store = await self._stack.enter_async_context(self._connect())
            return await what(self._store)
        except BaseException:
            await self._hang_up()  # an answer may still be on its way: the next question must not get it
            raise

    async def _hang_up(self) -> None:
        stack, self._stack, self._store = self._stack, AsyncExitStack(), None
        await stack.aclose()
