"""The wire log by itself: batches, the bound, readers that come late, are slow, or leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from chaos.model.wire_record import WireRecord
from chaos.proxy.timers import Timers
from chaos.proxy.wirelog import WireLog


@pytest.fixture
async def timers() -> AsyncIterator[Timers]:
    """Timers on the test's loop."""
    timers = Timers(asyncio.get_running_loop())
    yield timers
    timers.close()


def decoded(batches: list[bytes]) -> list[WireRecord]:
    """The records of some batches."""
    return [record for batch in batches for record in msgspec.msgpack.decode(batch, type=list[WireRecord])]


async def test_who_comes_later_misses_nothing(timers: Timers) -> None:
    """Records from before the first subscription are kept for it."""
    log = WireLog(timers, 1 << 20)
    for i in range(100):
        log.append((i, "open", "a>b", i))
        if i % 10 == 0:
            log.flush()
    with log.subscribe() as subscription:
        assert [record.t_ns for record in decoded(subscription.take())] == list(range(100))


async def test_batches_come_by_themselves(timers: Timers) -> None:
    """A reader is woken; records of one moment share a batch; closing the log ends the reading."""
    log = WireLog(timers, 1 << 20)
    batches: list[bytes] = []

    async def read() -> None:
        with log.subscribe() as subscription:
            async for batch in subscription:
                batches.append(batch)
                if len(batches) == 1:
                    log.append((3, "close", "a>b", 1, 0, "", "", 0, ("f",), "rst"))
                    log.close()

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    log.append((1, "open", "a>b", 1))
    log.append((2, "open", "a>b", 2))
    await asyncio.wait_for(reading, 10)
    assert [len(decoded([batch])) for batch in batches] == [2, 1]
    assert decoded(batches)[2] == WireRecord(3, "close", "a>b", 1, 0, "", "", 0, ("f",), "rst")


async def test_beyond_the_bound_the_oldest_go_and_are_counted(timers: Timers) -> None:
    """Memory stays within the bound; a `lost` record says how many, where they were."""
    log = WireLog(timers, 2000)
    for i in range(500):
        log.append((i, "open", "a>b", i))
        log.flush()
        assert log.backlog_bytes <= 2000
    with log.subscribe() as subscription:
        records = decoded(subscription.take())
        assert records[0].kind == "lost"
        assert records[0].nbytes == log.lost > 0
        assert [record.t_ns for record in records[1:]] == list(range(log.lost, 500))
        log.append((500, "open", "a>b", 500))
        log.flush()
        assert [record.kind for record in decoded(subscription.take())] == ["open"]


async def test_two_readers_get_the_same(timers: Timers) -> None:
    """And a slow one does not hold up the other; when both are gone, records are kept again."""
    log = WireLog(timers, 1 << 20)
    with log.subscribe() as one, log.subscribe() as two:
        log.append((1, "open", "a>b", 1))
        log.flush()
        assert decoded(one.take()) == decoded(two.take()) != []
    log.append((2, "open", "a>b", 2))
    with log.subscribe() as later:
        assert [record.t_ns for record in decoded(later.take())] == [2]
