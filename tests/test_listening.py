"""The servers that tests talk to leave nothing behind, whatever their connections are at when they go."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

import pytest

from tests.listening import Listening, assert_ended, echo, listening


@pytest.mark.parametrize("turns", range(7))
async def test_a_connection_in_the_making_ends_with_its_server(turns: int) -> None:
    """Connected, accepted by the loop, handed over: whatever it is at, its client sees the end, and nothing is left unclosed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with listening(echo) as server:
            client = socket.create_connection((server.host, server.port))
            for _ in range(turns):
                await asyncio.sleep(0)
        assert_ended(client)
        assert len(asyncio.all_tasks()) == 1
        gc.collect()


async def test_it_comes_back_on_the_same_port() -> None:
    """And serves as before."""
    server = Listening(echo)
    await server.up()
    port = server.port
    await server.down()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(server.host, port)
    await server.up()
    try:
        reader, writer = await asyncio.open_connection(server.host, port)
        writer.write(b"here")
        assert await asyncio.wait_for(reader.readexactly(4), 20) == b"here"
        writer.close()
        await writer.wait_closed()
    finally:
        await server.down()
    assert (server.port, server.connections) == (port, 1)


async def test_what_fails_in_a_connection_fails_the_test() -> None:
    """An assertion in a server is not lost in a task."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        assert await reader.read(1) == b"a"

    async def talk() -> None:
        async with listening(serve) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"b")
            await asyncio.wait_for(reader.read(), 20)
            writer.close()
            await writer.wait_closed()

    with pytest.raises(AssertionError, match="b'b' == b'a'"):
        await talk()
