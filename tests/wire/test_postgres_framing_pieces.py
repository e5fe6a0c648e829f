"""PostgreSQL framing whatever the pieces, their order and their number: the same records, none that raises, little that is kept."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.wire import PostgresFramer
from tests.wire.postgres_conversations import EVERYTHING, run
from tests.wire.postgres_messages import (
    CANCEL,
    FLUSH,
    KEY,
    OPENED,
    ROW,
    SSL,
    STARTUP,
    SYNC,
    Step,
    bind,
    cut_anywhere,
    cut_at_each_byte,
    describe,
    done,
    execute,
    failed,
    message,
    parse,
    query,
    ready,
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_split_gives_the_same_records(size: int) -> None:
    """Bytes that come one at a time are framed as those that come at once."""
    pieces = [
        (way, data[at : at + step])
        for way, data in EVERYTHING
        for step in [size if len(data) < 40_000 else 9_001]
        for at in range(0, len(data), step)
    ]
    assert run(pieces) == run(EVERYTHING)


SMALL = [(way, data) for way, data in EVERYTHING if len(data) < 40_000]


def test_a_split_at_any_byte_gives_the_same_records() -> None:
    """Each step of the conversation comes in two chunks, cut at each of its bytes in turn."""
    whole = run(SMALL)
    for pieces in cut_at_each_byte(SMALL):
        assert run(pieces) == whole


@given(st.integers(0, 1 << 32))
def test_any_splits_give_the_same_records(seed: int) -> None:
    """Wherever the chunks of both streams end."""
    assert run(cut_anywhere(SMALL, seed)) == run(SMALL)


@given(st.lists(st.tuples(st.sampled_from("><"), st.sampled_from([
    query("BEGIN"), parse("s", "SELECT 1"), bind("s"), execute(), describe("s"), SYNC, FLUSH, message("X"), message("d", b"x"),
    done("SELECT 1"), failed("XX000"), ready(), message("1"), message("n"), ROW, message("I"), message("s"), KEY, b"\0", b"S",
    STARTUP, SSL, CANCEL, b"N", message("A", b"x"), message("E"), message("C"), message("Z", b""), message("P", b"no end"),
])), max_size=30), st.booleans())  # fmt: skip
@settings(max_examples=200)
def test_no_order_of_messages_raises(steps: list[Step], opened: bool) -> None:
    """Whatever comes when, every record is well formed and no request is answered twice."""
    records = run(OPENED + steps if opened else steps)
    answered = [row.number for row in records if row.kind == "reply" and row.number]
    asked = {row.number for row in records if row.kind == "request"}
    assert len(answered) == len(set(answered))
    assert set(answered) <= asked


@given(st.lists(st.tuples(st.sampled_from("><"), st.binary(max_size=60)), max_size=10))
@settings(max_examples=200)
def test_no_bytes_raise(steps: list[Step]) -> None:
    """Noise is passed over or told as raw."""
    run(steps)
    run(OPENED + steps)


def test_memory_is_bounded() -> None:
    """Neither statements without end, nor requests without answers, nor heads that never end are kept."""
    rows: list[tuple[Any, ...]] = []
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(STARTUP, 0)
    framer.feed_request(b"Q" + struct.pack(">I", 1 << 29) + b"SELECT '", 0)
    for _ in range(100):
        framer.feed_request(bytes(65_536), 0)
        assert len(framer.up.carry) <= 16_384 + 5
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(STARTUP, 0)
    for index in range(6_000):
        framer.feed_request(query(f"SELECT a{index % 7}"), 0)
    assert framer.raw
