"""The recorder's log and what is told beside it, put together: nothing waits for the other, and the end of the one is the end of both."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import msgspec
import pytest

from chaos.errors import ProxyError
from chaos.links.marked_wire import MarkedWire

FRAME = msgspec.msgpack.encode([(5, "open", "a>b", 1)])


async def recorded(*frames: bytes, until: anyio.Event | None = None, error: str = "") -> AsyncGenerator[bytes, None]:
    """A log that ends, or breaks off, once it may."""
    for frame in frames:
        yield frame
    if until is not None:
        await until.wait()
    if error:
        raise ProxyError(error)


def kinds(frame: bytes) -> list[str]:
    """Of its records."""
    return [record[1] for record in msgspec.msgpack.decode(frame)]


async def test_what_is_told_does_not_wait_for_a_frame() -> None:
    """The recorder is silent: it comes all the same, and what comes late comes before the end."""
    may_end = anyio.Event()
    async with anyio.create_task_group() as group:
        wire = MarkedWire(group)
        frames = wire.frames(recorded(FRAME, until=may_end))
        with anyio.fail_after(20):
            assert await anext(frames) == FRAME
            wire.marker.asked("slow", "a>b", 1)
            assert kinds(await anext(frames)) == ["on"]
            wire.marker.ends("slow", "a>b", 2, "ended")
            may_end.set()
            assert [kinds(frame) async for frame in frames] == [["off"]]


async def test_one_that_breaks_off_says_so_at_its_end() -> None:
    """What was told before is not lost."""
    async with anyio.create_task_group() as group:
        wire = MarkedWire(group)
        wire.marker.asked("slow", "a>b", 1)
        frames = wire.frames(recorded(FRAME, error="broke off"))
        with anyio.fail_after(20):
            assert [kinds(await anext(frames)), kinds(await anext(frames))] == [["on"], ["open"]]
            with pytest.raises(ProxyError, match="broke off"):
                await anext(frames)


async def test_a_reader_that_leaves_takes_all_with_it() -> None:
    """No task of it remains."""
    async with anyio.create_task_group() as group:
        frames = MarkedWire(group).frames(recorded(FRAME, FRAME, until=anyio.Event()))
        with anyio.fail_after(20):
            assert await anext(frames) == FRAME
            await frames.aclose()


async def endless() -> AsyncGenerator[bytes, None]:
    """A log in which something stands at every moment; each frame is an empty list of records."""
    while True:
        yield b"\x90"


@pytest.mark.parametrize("taken", range(4))
async def test_a_reader_that_goes_breaks_nothing(taken: int) -> None:
    """Whatever is on its way to it then: the next frame is, as a rule."""
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group, aclosing(MarkedWire(group).frames(endless())) as frames:
            for _ in range(taken):
                assert await anext(frames) == b"\x90"
            await anyio.wait_all_tasks_blocked()
        # The group ends by itself: nobody feeds it any more.
