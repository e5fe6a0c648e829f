"""Toxics that cut a stream into pieces or damage it, under an injected clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.stage import MS, US
from tests.proxy.stage_rig import bench


def test_slicer_pieces_are_within_bounds_and_spaced() -> None:
    """No piece is longer than average + variation; one leaves each delay."""
    run = bench("slicer", average_size=8, size_variation=4, delay=500)
    data = bytes(range(64))
    run.data(data, 0)
    run.until(1000 * MS)
    assert run.data_out == data
    assert max(run.sizes) <= 12
    assert [t_ns for t_ns, _ in run.out] == [i * 500 * US for i in range(len(run.out))]


def test_slicer_average_one_gives_single_bytes() -> None:
    """As many pieces as bytes."""
    run = bench("slicer", average_size=1)
    run.data(b"abcdef", 0)
    assert run.sizes == [1] * 6


def test_slicer_without_attributes_slices_nothing() -> None:
    """What would overflow a stack elsewhere passes untouched."""
    run = bench("slicer")
    run.data(bytes(100_000), 0)
    assert run.sizes == [100_000]
    assert not run.stage.acted


def test_slicer_variation_above_the_average_counts_as_the_average() -> None:
    """Accepted, and clamped in effect."""
    run = bench("slicer", average_size=7, size_variation=800)
    run.data(bytes(1000), 0)
    assert len(run.data_out) == 1000
    assert max(run.sizes) <= 14


@given(st.lists(st.integers(1, 400), min_size=1, max_size=12), st.integers(0, 9), st.booleans())
def test_corrupt_hits_the_same_bytes_however_the_stream_is_cut(sizes: list[int], seed: int, whole: bool) -> None:
    """As many bytes come out, at the rate asked for, and one seed damages the same ones."""
    data = bytes(i % 251 for i in range(sum(sizes)))
    at_once = bench("corrupt", seed=seed, rate=50_000, whole=int(whole))
    at_once.data(data, 0)
    cut = bench("corrupt", seed=seed, rate=50_000, whole=int(whole))
    for i, size in enumerate(sizes):
        cut.data(data[sum(sizes[:i]) : sum(sizes[:i]) + size], i)
    assert cut.data_out == at_once.data_out
    assert len(cut.data_out) == len(data)
    if not whole:
        assert all((a ^ b).bit_count() <= 1 for a, b in zip(data, cut.data_out, strict=True))


def test_corrupt_keeps_to_its_rate() -> None:
    """None at 0, about the share asked for, every byte at a million; an update counts from the next byte on."""
    data = bytes(100_000)
    run = bench("corrupt", rate=0)
    run.data(data, 0)
    assert run.data_out == data
    assert not run.stage.acted
    run.update(1, rate=10_000)
    run.data(data, 1)
    assert 700 < sum(map(bool, run.data_out)) < 1300
    full = bench("corrupt", rate=1_000_000, whole=1)
    full.data(data, 0)
    assert all(full.data_out)
