"""Postgres streams cut into turns: whose bytes are whose, where answers end, which are rows; whatever the pieces they come in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.message.turn import Part
from tests.proxy.postgres_conversations import BEGINNINGS, EVERYTHING, SHAPES
from tests.proxy.postgres_turns import ASKS, DATA, NEWS, NO_DATA, NOTICE, ONE, TWO, both, cut
from tests.wire.postgres_messages import (
    CANCEL,
    FLUSH,
    KEY,
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


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_a_conversation(shape: str) -> None:
    """Every way of the protocol is cut where its turns begin and end."""
    steps, expected = SHAPES[shape]
    assert both(steps) == expected


@pytest.mark.parametrize("shape", BEGINNINGS)
def test_each_way_to_begin(shape: str) -> None:
    """First packets, what answers them, and dialogues about passwords, which belong to no turn."""
    steps, expected = BEGINNINGS[shape]
    assert both(steps, opened=False) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_every_size_of_chunks_gives_the_same_turns(size: int) -> None:
    """Bytes that come one at a time belong to the same turns and items as those that come at once."""
    pieces = [(way, data[at : at + size]) for way, data in EVERYTHING for at in range(0, len(data), size)]
    assert both(pieces, opened=False) == both(EVERYTHING, opened=False)


@given(st.integers(0, 1 << 32))
def test_every_split_gives_the_same_turns(seed: int) -> None:
    """Wherever both streams are cut."""
    assert both(cut_anywhere(EVERYTHING, seed), opened=False) == both(EVERYTHING, opened=False)


def test_a_split_at_any_byte_gives_the_same_turns() -> None:
    """Each step of the conversation comes in two chunks, cut at each of its bytes in turn."""
    whole = both(EVERYTHING, opened=False)
    for pieces in cut_at_each_byte(EVERYTHING):
        assert both(pieces, opened=False) == whole


WORDS = [
    query("BEGIN"), parse("s", "SELECT 1"), bind("s"), execute(), describe("s"), SYNC, FLUSH, message("X"), message("c"),
    message("d", b"x" * 9), message("f", b"\0"), message("p", b"x"), message("F"), done("SELECT 1"), failed("XX000"), ready(),
    ready("T"), ONE, TWO, NO_DATA, ROW, ASKS, message("I"), message("s"), KEY, b"\0", b"S", STARTUP, SSL, CANCEL, b"N", NEWS,
    NOTICE, message("E"), message("C"), message("Z"), message("Z", b"??"), message("P", b"no end"), message("R"), DATA[:9],
    message("1", b"x"), b"Q\x7f\xff\xff\xff", b"D\0\0\0\3",
]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from("><"), st.sampled_from(WORDS) | st.binary(max_size=20)), max_size=30),
    st.booleans(),
)
@settings(max_examples=300)
def test_whatever_comes_nothing_is_lost(steps: list[Step], opened: bool) -> None:
    """No order of messages and no noise raises; the pieces joined are what was fed, and no turn is over twice."""
    cuts = cut(steps, opened=opened)
    for direction in "><":
        assert b"".join(data for way, _, data, _, _ in cuts if way == direction) == b"".join(
            data for way, data in steps if way == direction
        )
    over = [turn for _, turn, _, _, part in cuts if part & Part.DONE]
    assert len(over) == len(set(over))
    assert 0 not in over
    begun = [turn for _, turn, _, _, part in cuts if part & Part.FIRST]
    assert len(begun) == len(set(begun))
