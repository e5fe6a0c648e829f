"""Marks on messages, whatever stages do with the bytes: nothing raises, no fault is lost that acted on a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.wire_record import WireRecord
from chaos.wire import NatsFramer, PostgresFramer

NATS = {
    ">": [b"PUB a 1\r\nx\r\n", b"PUB a r 1\r\nx\r\n", b"PUB a 9\r\nxy", b"SUB a 1\r\n", b"PING\r\n", b"CONNECT {}\r\n"],
    "<": [b"MSG a 1 0\r\n\r\n", b"MSG r 1 0\r\n\r\n", b"MSG a 1 s 2\r\n", b"+OK\r\n", b"INFO {}\r\n"],
}
POSTGRES = {
    ">": [b"Q\0\0\0\6S\0", b"Q\0\0\0\x0eSEL", b"P\0\0\0\x08\0S\0\0\0", b"E\0\0\0\x09\0\0\0\0\0", b"S\0\0\0\4", b"H\0\0\0\4"],
    "<": [b"C\0\0\0\6X\0", b"Z\0\0\0\5I", b"E\0\0\0\x0bC23505\0", b"n\0\0\0\4", b"D\0\0\0\x06xy", b"1\0\0\0\4"],
}  # fmt: skip
START = b"\0\0\0\x08\0\3\0\0"
Event = tuple[str, str, int]

EVENTS = st.lists(
    st.tuples(st.sampled_from(["plain", "held", "mark", "leave", "drop"]), st.sampled_from("><"), st.integers(0, 5)),
    max_size=40,
)


def replay(framer: Any, words: dict[str, list[bytes]], events: list[Event]) -> bool:
    """Do it all; whether a fault acted."""
    marked = False
    for t_ns, (what, direction, index) in enumerate(events):
        if what in {"plain", "held"}:
            feed = framer.feed_request if direction == ">" else framer.feed_reply
            feed(words[direction][index % len(words[direction])], t_ns, watched=what == "held")
        elif what == "mark" and not framer.raw:
            framer.mark(direction, ("slow",))
            marked = True
        elif what == "leave":
            framer.passed(direction, index * 3, t_ns)
        elif what == "drop":
            framer.dropped(direction, t_ns)
    framer.end(len(events), ("cut",))
    return marked


@pytest.mark.parametrize(("kind", "words"), [(NatsFramer, NATS), (PostgresFramer, POSTGRES)], ids=["nats", "postgres"])
@given(events=EVENTS)
@settings(max_examples=300)
def test_any_fate_of_the_bytes(kind: Any, words: dict[str, list[bytes]], events: list[Event]) -> None:
    """Every reply has a request, none is told twice, and only faults that acted are named."""
    rows: list[tuple[Any, ...]] = []
    framer = kind("a>b", 1, rows.append)
    if kind is PostgresFramer:
        framer.feed_request(START, 0)
    marked = replay(framer, words, events)
    records = [WireRecord(*row) for row in rows]
    replies = [row.number for row in records if row.kind == "reply" and row.number]
    assert len(replies) == len(set(replies))
    assert set(replies) <= {row.number for row in records if row.kind == "request"}
    assert marked or not any("slow" in row.faults for row in records)


@pytest.mark.parametrize("size", [1, 4, 9, 50])
def test_a_fault_on_any_piece_is_named(size: int) -> None:
    """In whatever pieces a message comes, each piece held by a fault names it, on requests and on answers."""
    for direction in "><":
        rows: list[tuple[Any, ...]] = []
        framer = NatsFramer("a>b", 1, rows.append)
        request, answer = b"PUB tasks.run in.1 3\r\nabc\r\n", b"MSG in.1 9 2\r\nok\r\n"
        for way, data in ((">", request), ("<", answer)):
            for at in range(0, len(data), size):
                piece = data[at : at + size]
                (framer.feed_request if way == ">" else framer.feed_reply)(piece, 0, watched=True)
                if way == direction and at == 0:
                    framer.mark(way, ("slow",))
                framer.passed(way, len(piece), 1)
        replies = [WireRecord(*row) for row in rows if row[1] == "reply"]
        assert [(row.signature, row.status, row.faults) for row in replies] == [("PUB tasks.run", "ok", ("slow",))]
