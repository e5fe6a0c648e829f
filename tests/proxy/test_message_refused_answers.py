"""An error in place of an answer that came: whether the connection goes on behind it is what the answer said, too."""

from __future__ import annotations

import pytest

from chaos.model.link import Protocol
from tests.proxy.directed_rig import directed
from tests.proxy.http_streams import get, ok, stream
from tests.wire.postgres_messages import OPENED, ROW, query

UPGRADE = get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("asked", "answered", "closes"),
    [
        (UPGRADE, SWITCHED, True),
        (get("/tunnel").replace(b"GET", b"CONNECT"), b"HTTP/1.1 200 OK\r\n\r\n", True),
        (UPGRADE, ok(b"no"), False),
        (get(), ok(b"bye", "Connection: close\r\n"), True),
        (get(), ok(b"", "Connection: keep-alive, Close\r\n"), True),
        (get(), ok(b"old").replace(b"HTTP/1.1", b"HTTP/1.0"), True),
        (get(), ok(b"old", "Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (get(), stream(b"a", b"b"), False),
    ],
    ids=["101", "connect", "not upgraded", "close", "close among others", "1.0", "1.0 keep-alive", "chunked"],
)
async def test_the_error_ends_the_connection_where_the_answer_did(asked: bytes, answered: bytes, closes: bool) -> None:
    """It says so, and nothing comes behind it: neither frames of a websocket nor another answer."""
    async with directed(Protocol.HTTP) as one:
        one.fault("error", phase="after", answer="503", count={"first": 1})
        one.feed(">", asked)
        one.feed("<", answered)
        told = one.out["<"]
        assert told.startswith(b"HTTP/1.1 503 ")
        assert (b"Connection: close\r\n" in told, one.ended) == (closes, closes)
        one.feed("<", b"\x81\x05hello")
        assert (one.out["<"] == told) or not closes


async def test_an_answer_that_reaches_to_the_end_of_its_stream() -> None:
    """The error in its place has a length, and ends the connection all the same."""
    async with directed(Protocol.HTTP) as one:
        one.fault("error", phase="after", answer="503")
        one.feed(">", get())
        one.feed("<", b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        one.end("<")
        assert b"Connection: close\r\n" in one.out["<"]
        assert one.ended


LONG = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"


async def test_an_answer_whose_end_nobody_can_tell_is_not_swallowed_for_ever() -> None:
    """The error was told at the bound of what is withheld; what comes then is no chunk, and the connection is reset."""
    async with directed(Protocol.HTTP) as one:
        one.fault("error", phase="after", answer="503")
        one.feed(">", get())
        one.feed("<", LONG)
        told = one.out["<"]
        assert (told[:13], one.ended) == (b"HTTP/1.1 503 ", False)
        one.feed("<", b"no chunk\r\n" + b"y" * 100)
        assert (one.out["<"], {line.ending for line in one.lines.values()}) == (told, {"rst"})


async def test_rows_whose_end_nobody_can_tell() -> None:
    """Of Postgres: nothing of what cannot be framed is passed on behind an error in the midst of rows."""
    async with directed(Protocol.POSTGRES) as one:
        for step in OPENED:
            one.feed(*step)
        one.fault("error", phase="during:1", answer="40001")
        one.feed(">", query("SELECT a FROM t"))
        one.feed("<", ROW)
        before = one.out["<"]
        assert b"40001" in before
        one.feed("<", b"\0garbage\r\n")
        assert (one.out["<"], {line.ending for line in one.lines.values()}) == (before, {"rst"})
