"""Toxics that withhold or end a stream, under an injected clock: what passes, when at the earliest, and what is kept."""

from __future__ import annotations

import pytest

from chaos.proxy.stage import MS, End
from tests.proxy.stage_rig import bench


def test_timeout_closes_after_silence_only() -> None:
    """Each chunk is swallowed and starts the silence anew."""
    run = bench("timeout", timeout=500)
    for i in range(15):
        run.data(b"x", i * 200 * MS)
    assert run.out == []
    run.until(10_000 * MS)
    assert run.ms() == [(14 * 200 + 500, End.CLOSE)]


def test_timeout_zero_never_closes_until_removed() -> None:
    """0 swallows for ever; removal closes, because the stream has a hole."""
    run = bench("timeout")
    run.data(b"x", 0)
    run.until(3_600_000 * MS)
    assert run.out == []
    assert run.stage.wake_ns is None
    run.remove(3_600_001 * MS)
    assert [item for _, item in run.out] == [End.CLOSE]


def test_timeout_update_restarts_the_silence() -> None:
    """300 ms from the update on."""
    run = bench("timeout", timeout=10_000)
    run.update(100 * MS, timeout=300)
    run.until(1000 * MS)
    assert run.ms() == [(400, End.CLOSE)]


def test_reset_peer_waits_for_the_first_data() -> None:
    """Without data it never fires; with data it fires after its wait; an end counts as data."""
    idle = bench("reset_peer", timeout=300)
    idle.until(100_000 * MS)
    assert idle.out == []
    run = bench("reset_peer", timeout=300)
    run.data(b"a", 10 * MS)
    run.data(b"b", 20 * MS)
    run.until(310 * MS)
    assert run.ms() == [(310, End.RESET)]
    ended = bench("reset_peer")
    ended.end(5 * MS)
    assert ended.ms() == [(5, End.RESET)]


def test_reset_peer_removed_while_it_waits_loses_nothing() -> None:
    """What came meanwhile passes on."""
    run = bench("reset_peer", timeout=300)
    run.data(b"a", 0)
    run.data(b"b", 1)
    run.remove(2)
    assert run.data_out == b"ab"


@pytest.mark.parametrize(
    ("limit", "chunks", "passed", "closes"),
    [
        (10, [7, 2], 9, False),
        (10, [7, 3], 10, True),
        (10, [7, 9, 4], 10, True),
        (4, [4], 4, True),
        (0, [5], 0, True),
        (-3, [5], 0, True),
    ],
)
def test_limit_data_is_exact(limit: int, chunks: list[int], passed: int, closes: bool) -> None:
    """Forwards exactly N bytes and closes as soon as N is reached, also without waiting for more."""
    run = bench("limit_data", bytes=limit)
    for size in chunks:
        run.data(bytes(size), 0)
    assert len(run.data_out) == passed
    assert [item for _, item in run.out if item is End.CLOSE] == [End.CLOSE] * closes


def test_limit_data_keeps_its_count_across_updates() -> None:
    """Raised, it lets the difference through; lowered below the count, it closes on the next data."""
    raised = bench("limit_data", bytes=10)
    raised.data(bytes(4), 0)
    raised.update(1, bytes=6)
    raised.data(bytes(4), 2)
    assert [len(i) if isinstance(i, bytes) else i for _, i in raised.out] == [4, 2, End.CLOSE]
    lowered = bench("limit_data", bytes=10)
    lowered.data(bytes(8), 0)
    lowered.update(1, bytes=5)
    assert lowered.sizes == [8]
    lowered.data(b"x", 2)
    assert [item for _, item in lowered.out][1:] == [End.CLOSE]


def test_hang_says_nothing_and_resets_what_it_held() -> None:
    """Every byte is kept for ever; a connection at rest goes on afterwards."""
    run = bench("hang")
    run.data(b"x", 0)
    run.end(1)
    run.until(3_600_000 * MS)
    assert run.out == []
    run.remove(3_600_001 * MS)
    assert [item for _, item in run.out] == [End.RESET]
    idle = bench("hang")
    idle.remove(1)
    assert idle.out == []


def test_blackhole_swallows_and_resets_what_lost_something() -> None:
    """Nothing passes, not even the end; nothing is kept; a connection at rest goes on afterwards."""
    run = bench("blackhole")
    run.data(bytes(1000), 0)
    run.end(1)
    run.until(3_600_000 * MS)
    assert (run.out, run.stage.held) == ([], 0)
    run.remove(3_600_001 * MS)
    assert [item for _, item in run.out] == [End.RESET]
    idle = bench("blackhole")
    idle.remove(1)
    assert idle.out == []


def test_half_open_goes_on_swallowing_until_the_stream_ends() -> None:
    """What lost something stays; an end before or after the toxic's closes both sides; what lost nothing goes on."""
    run = bench("blackhole", half_open=1)
    run.data(bytes(10), 0)
    run.remove(5)
    run.data(bytes(10), 6)
    assert (run.out, run.stage.held, run.stage.stays) == ([], 0, True)
    run.end(7)
    assert run.out == [(7, End.RESET)]
    closed = bench("blackhole", half_open=1)
    closed.end(1)
    closed.remove(2)
    assert (closed.out, closed.stage.stays) == ([(2, End.RESET)], False)
    idle = bench("blackhole", half_open=1)
    idle.remove(1)
    assert (idle.out, idle.stage.stays) == ([], False)


def test_reset_answers_a_request_with_a_reset() -> None:
    """The first bytes towards the upstream end the connection."""
    run = bench("reset")
    run.data(b"GET /", 0)
    assert [item for _, item in run.out] == [End.RESET]
