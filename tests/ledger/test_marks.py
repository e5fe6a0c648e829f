"""Which messages a stream may have lost of a run: those it had lost before are none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.ledger import audit, mark_streams
from chaos.ledger.marks import StreamMark, removed_since
from chaos.system import NatsServer, PostgresServer
from tests.ledger.stores import LIMITS, Stores, open_stores


def held(numbers: set[int], last: int) -> StreamMark:
    """The stream that holds these of its messages up to `last`."""
    return StreamMark(first=min(numbers, default=last + 1), last=last, messages=len(numbers))


@given(st.integers(0, 12), st.integers(0, 12), st.data())
def test_nothing_that_the_run_lost_is_overlooked(before: int, came: int, data: st.DataObject) -> None:
    """Whatever a stream held before and holds now: as many are told as truly went, or more."""
    last = before + came
    then = data.draw(st.sets(st.sampled_from(range(1, before + 1)))) if before else set()
    runs = set(range(before + 1, last + 1))
    kept = data.draw(st.sets(st.sampled_from(sorted(then | runs)))) if then | runs else set()
    told = removed_since(held(then, before), held(kept, last))
    assert told >= len(runs - kept)
    if kept == then | runs:
        assert told == 0


@pytest.mark.parametrize(
    ("before", "now", "removed"),
    [
        (StreamMark(), StreamMark(), 0),
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=501, last=950, messages=450), 0),
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=551, last=950, messages=400), 0),  # at its limit
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=921, last=950, messages=30), 20),
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=951, last=950, messages=0), 50),
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=501, last=950, messages=447), 3),
        (StreamMark(first=501, last=900, messages=400), StreamMark(first=3, last=9, messages=7), 2),  # made anew
    ],
)  # fmt: skip
def test_removed_of_a_run(before: StreamMark, now: StreamMark, removed: int) -> None:
    """Off the front, out of the middle, all of it; what was gone before does not count."""
    assert removed_since(before, now) == removed


@pytest.fixture
async def stores(postgres_server: PostgresServer, nats_server: NatsServer) -> AsyncIterator[Stores]:
    """A schema and a stream of the test's own."""
    async with open_stores(postgres_server, nats_server) as made:
        yield made


async def test_a_stream_that_lost_messages_long_ago_is_whole(stores: Stores) -> None:
    """A long-lived stream, purged before the run and within it."""
    await stores.event("old", "older")
    await stores.jetstream.purge_stream(stores.name)
    await stores.event("before")
    marks = await mark_streams(stores.ledger, stores.access, LIMITS)
    await stores.event("a", "b")
    done = await audit(stores.ledger, stores.access, LIMITS, marks)
    assert [one.removed for one in done.reads if one.effect == "event"] == [0]
    await stores.jetstream.purge_stream(stores.name, keep=1)
    done = await audit(stores.ledger, stores.access, LIMITS, marks)
    assert [one.removed for one in done.reads if one.effect == "event"] == [1]


async def test_what_cannot_be_told_beforehand_is_left_out(stores: Stores) -> None:
    """A stream that is made later, a store that is not there."""
    await stores.jetstream.delete_stream(stores.name)
    assert await mark_streams(stores.ledger, stores.access, LIMITS) == {}
    await stores.jetstream.add_stream(name=stores.name, subjects=[f"{stores.name}.>"])
