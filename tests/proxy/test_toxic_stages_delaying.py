"""Toxics that delay, under an injected clock: what passes, when at the earliest, and what is kept."""

from __future__ import annotations

from chaos.proxy.stage import MS, End
from tests.proxy.stage_rig import bench


def test_latency_delays_each_chunk_from_its_arrival() -> None:
    """Pipelined chunks each wait 100 ms, in parallel."""
    run = bench("latency", latency=100)
    run.data(b"a", 0)
    run.data(b"b", 50 * MS)
    run.until(1000 * MS)
    assert run.ms() == [(100, b"a"), (150, b"b")]


def test_latency_of_zero_is_transparent() -> None:
    """No delay: passed in the same call, and no fault is said to have acted."""
    run = bench("latency")
    run.data(b"a", 0)
    assert run.ms() == [(0, b"a")]
    assert not run.stage.acted


def test_negative_latency_counts_as_none() -> None:
    """Accepted, and clamped in effect."""
    run = bench("latency", latency=-5, jitter=-1)
    run.data(b"a", 0)
    assert run.ms() == [(0, b"a")]


def test_latency_does_not_delay_a_bare_fin_and_keeps_it_behind_data() -> None:
    """A FIN alone passes at once; one after data comes right after the data."""
    bare = bench("latency", latency=100)
    bare.end(5 * MS)
    assert bare.ms() == [(5, End.FIN)]
    behind = bench("latency", latency=100)
    behind.data(b"a", 0)
    behind.end(5 * MS)
    behind.until(1000 * MS)
    assert behind.ms() == [(100, b"a"), (100, End.FIN)]


def test_latency_jitter_stays_in_its_band_and_keeps_the_order() -> None:
    """Each chunk leaves within latency +- jitter of its arrival unless one before it is later."""
    run = bench("latency", latency=200, jitter=150)
    for i in range(50):
        run.data(bytes([i]), 0)
    run.until(1000 * MS)
    assert run.data_out == bytes(range(50))
    assert all(50 * MS <= t_ns <= 350 * MS for t_ns, _ in run.out)
    assert len({t_ns for t_ns, _ in run.out}) > 1


def test_latency_update_releases_the_head_and_redates_the_rest() -> None:
    """The chunk being waited for goes at once, the others get the new delay."""
    run = bench("latency", latency=1000)
    for i in range(3):
        run.data(b"abc"[i : i + 1], i * 10 * MS)
    run.update(30 * MS, latency=100)
    run.until(5000 * MS)
    assert run.ms() == [(30, b"a"), (110, b"b"), (120, b"c")]


def test_latency_removal_releases_all_in_order() -> None:
    """Nothing is lost, the end included."""
    run = bench("latency", latency=1000)
    run.data(b"a", 0)
    run.data(b"b", 1)
    run.end(2)
    run.remove(10 * MS)
    assert run.ms() == [(10, b"a"), (10, b"b"), (10, End.FIN)]
    assert run.stage.held == 0


def test_bandwidth_pays_every_byte_before_it_leaves() -> None:
    """100 KB at 100 KB/s: ten pieces of 10,000 bytes, one each 100 ms."""
    run = bench("bandwidth", rate=100)
    run.data(bytes(100_000), 0)
    run.until(5000 * MS)
    assert [(t_ns // MS, len(item)) for t_ns, item in run.out if isinstance(item, bytes)] == [
        (100 * (i + 1), 10_000) for i in range(10)
    ]


def test_bandwidth_rate_zero_stalls_and_heals() -> None:
    """Nothing passes, nothing is lost, a FIN with nothing pending still passes."""
    run = bench("bandwidth", rate=0)
    run.data(b"pay", 0)
    run.data(b"load", 1)
    run.end(2)
    run.until(10_000 * MS)
    assert run.out == []
    assert run.stage.held == 7
    run.remove(10_000 * MS)
    assert [item for _, item in run.out] == [b"pay", b"load", End.FIN]
    idle = bench("bandwidth", rate=0)
    idle.end(3 * MS)
    assert idle.ms() == [(3, End.FIN)]


def test_bandwidth_late_wakeups_do_not_add_up() -> None:
    """A wakeup that is late by 30 ms does not move the pieces after it."""
    run = bench("bandwidth", rate=10)
    run.data(bytes(3000), 0)
    run.now_ns = 130 * MS
    run._note(run.stage.wake(130 * MS))
    run.until(1000 * MS)
    assert [t_ns // MS for t_ns, _ in run.out] == [130, 200, 300]


def test_bandwidth_update_applies_to_what_waits() -> None:
    """From a stall to a rate: what waits is paid for from now on."""
    run = bench("bandwidth", rate=0)
    run.data(bytes(100), 0)
    run.update(50 * MS, rate=10)
    run.until(1000 * MS)
    assert [t_ns // MS for t_ns, _ in run.out] == [60]


def test_slow_close_delays_only_the_end() -> None:
    """Data passes, the FIN comes a second later; an update counts from when it came; removal lets it go."""
    run = bench("slow_close", delay=1000)
    run.data(b"bye", 0)
    run.end(0)
    run.until(2000 * MS)
    assert run.ms() == [(0, b"bye"), (1000, End.FIN)]
    updated = bench("slow_close", delay=1000)
    updated.end(0)
    updated.update(100 * MS, delay=200)
    updated.until(5000 * MS)
    assert updated.ms() == [(200, End.FIN)]
    removed = bench("slow_close", delay=1000)
    removed.end(0)
    removed.remove(7 * MS)
    assert removed.ms() == [(7, End.FIN)]


def test_loss_delays_a_segment_and_all_behind_it() -> None:
    """What is before the lost segment passes at once, the rest comes late and in order; a further loss doubles the wait."""
    run = bench("loss", rate=1_000_000, delay=100)
    run.data(b"abc", 0)
    run.data(b"def", 1 * MS)
    run.until(100_000_000 * MS)
    first, second = (t_ns / MS for t_ns, _ in run.out)
    assert run.data_out == b"abcdef"
    assert first == 100 * (2**7 - 1)
    assert second == 2 * first
    rare = bench("loss", rate=100_000, delay=100)
    data = bytes(i % 251 for i in range(200_000))
    rare.data(data, 0)
    passed = len(rare.data_out)
    assert 0 < passed < len(data)
    assert passed % 1448 == 0
    rare.until(1_000_000 * MS)
    assert rare.data_out == data
    assert {t_ns % (100 * MS) for t_ns, _ in rare.out} == {0}


def test_latency_in_microseconds() -> None:
    """They are added to the milliseconds, and a negative sum is none."""
    run = bench("latency", latency=1, latency_us=250)
    run.data(b"a", 0)
    run.until(10 * MS)
    assert run.out == [(1_250_000, b"a")]
    none = bench("latency", latency=1, latency_us=-2000)
    none.data(b"a", 0)
    assert none.out == [(0, b"a")]
