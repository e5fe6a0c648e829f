"""A request that was sent is carried through though its caller is cancelled: else it could be carried out after the healing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from chaos.links import LinkControl, Toxic, connect_embedded, connect_toxiproxy

ANSWERS = {
    "POST": b'{"name": "slow", "type": "latency", "stream": "downstream", "toxicity": 1.0, "attributes": {"latency": 5}}',
    "GET": b"[]",
    "DELETE": b"{}",
}


@pytest.mark.parametrize("connect", [connect_embedded, connect_toxiproxy])
async def test_a_toxic_is_known_before_its_caller_is_gone(
    connect: Callable[[str], AbstractAsyncContextManager[LinkControl]],
) -> None:
    """Cancelled while the server thinks: the answer is waited for, and what it made is taken away after that."""
    asked, answer, closed, happened = anyio.Event(), anyio.Event(), anyio.Event(), list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            method = head.split()[0].decode()
            while (line := await reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            if method == "POST":
                await reader.readexactly(size)
                asked.set()
                await answer.wait()
            happened.append(method)
            body = ANSWERS[method]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def inject(control: LinkControl, scope: anyio.CancelScope) -> None:
        with scope:
            await control.inject("a>b", Toxic(type="latency", name="slow", attributes={"latency": 5}))
        happened.append("gone")

    with anyio.fail_after(20):
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            async with connect(f"http://127.0.0.1:{port}") as control, anyio.create_task_group() as group:
                scope = anyio.CancelScope()
                group.start_soon(inject, control, scope)
                await asked.wait()
                scope.cancel()
                await anyio.wait_all_tasks_blocked()
                answer.set()
            await closed.wait()
    assert happened == ["POST", "gone", "DELETE", "GET"]
