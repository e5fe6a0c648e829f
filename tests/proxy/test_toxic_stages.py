"""The toxics' state machines under an injected clock: what passes, when at the earliest, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import MS, US, End, Item, Stage
from chaos.proxy.toxics import TOXIC_TYPES


@dataclass
class Bench:
    """A stage and a clock: runs every wake that is due on the way to a later moment."""

    stage: Stage
    now_ns: int = 0
    out: list[tuple[int, Item]] = field(default_factory=list)

    def until(self, t_ns: int) -> None:
        while self.stage.wake_ns is not None and self.stage.wake_ns <= t_ns:
            self.now_ns = max(self.now_ns, self.stage.wake_ns)
            before = self.stage.wake_ns
            items = self.stage.wake(self.now_ns)
            self._note(items)
            assert items or self.stage.wake_ns != before, "a wake that was due changed nothing"
            if End.RESET in items or End.CLOSE in items:
                break
        self.now_ns = t_ns

    def data(self, chunk: bytes, t_ns: int) -> None:
        self.until(t_ns)
        self._note(self.stage.data(chunk, t_ns))

    def end(self, t_ns: int, end: End = End.FIN) -> None:
        self.until(t_ns)
        self._note(self.stage.end(end, t_ns))

    def update(self, t_ns: int, **attributes: int) -> None:
        self.until(t_ns)
        kind = next(kind for kind in TOXIC_TYPES.values() if isinstance(self.stage.attributes, kind.attributes))
        self._note(self.stage.update(kind.decode(attributes), t_ns))

    def remove(self, t_ns: int) -> None:
        self.until(t_ns)
        self._note(self.stage.remove(t_ns))

    def _note(self, items: list[Item]) -> None:
        self.out += [(self.now_ns, item) for item in items]

    @property
    def data_out(self) -> bytes:
        return b"".join(item for _, item in self.out if isinstance(item, bytes))

    @property
    def sizes(self) -> list[int]:
        return [len(item) for _, item in self.out if isinstance(item, bytes)]

    def ms(self) -> list[tuple[float, Item]]:
        return [(t_ns / MS, item) for t_ns, item in self.out]


def bench(name: str, seed: int = 1, **attributes: int) -> Bench:
    """A stage of that type at time 0."""
    kind = TOXIC_TYPES[name]
    assert kind.stage is not None
    return Bench(kind.stage(kind.decode(attributes), lambda: Random(seed), 0))


def test_every_file_in_the_folder_is_a_type() -> None:
    """The table is the folder: the eight standard toxics and ours."""
    assert {name for name, kind in TOXIC_TYPES.items() if kind.standard} == {
        "latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data", "noop",
    }  # fmt: skip
    messages = {name for name, kind in TOXIC_TYPES.items() if kind.action is not None}
    assert messages == {"cut", "hold", "drop", "error", "truncate", "malform", "duplicate"}
    assert {name for name, kind in TOXIC_TYPES.items() if not kind.standard} - messages == {
        "refuse", "hang", "reset", "accept_close", "blackhole", "corrupt", "loss",
    }  # fmt: skip


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


def test_reset_answers_a_request_with_a_reset() -> None:
    """The first bytes towards the upstream end the connection."""
    run = bench("reset")
    run.data(b"GET /", 0)
    assert [item for _, item in run.out] == [End.RESET]


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("bandwidth", {"rate": -1}),
        ("bandwidth", {"rate": (1 << 63) - 1}),
        ("slicer", {"average_size": 5, "size_variation": -1}),
        ("latency", {"latency": 1, "jitter": (1 << 63) - 1}),
    ],
)
def test_attributes_that_kill_elsewhere_are_refused(name: str, attributes: dict[str, int]) -> None:
    """The crash list answers with a text for status 400."""
    with pytest.raises(BadAttributesError, match=r"^bad request body: ") as caught:
        TOXIC_TYPES[name].decode(attributes)
    assert caught.value.status == 400


INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@given(
    name=st.sampled_from(sorted(name for name, kind in TOXIC_TYPES.items() if kind.stage)),
    values=st.lists(INT64, min_size=3, max_size=3),
    sizes=st.lists(st.integers(1, 3000), max_size=6),
)
def test_no_attribute_kills_a_stage(name: str, values: list[int], sizes: list[int]) -> None:
    """Any int64 is refused or harmless: no exception, no endless wake, no due time beyond 63 bits."""
    kind = TOXIC_TYPES[name]
    try:
        attributes = kind.decode(dict(zip(kind.attributes.__struct_fields__, values, strict=False)))
    except BadAttributesError:
        return
    assert kind.stage is not None
    run = Bench(kind.stage(attributes, lambda: Random(1), 0))
    for size in sizes:
        run.data(bytes(size), run.now_ns + 1)
    run.until(50 * MS)
    assert run.stage.wake_ns is None or run.stage.wake_ns < 1 << 63
    run.remove(51 * MS)


LOSSLESS = {
    "latency": {"latency": st.integers(0, 50), "jitter": st.integers(0, 50)},
    "bandwidth": {"rate": st.integers(0, 200)},
    "slicer": {"average_size": st.integers(0, 50), "size_variation": st.integers(0, 60), "delay": st.integers(0, 900)},
    "slow_close": {"delay": st.integers(0, 50)},
    "reset_peer": {"timeout": st.integers(10_000, 20_000)},
    "noop": {},
    "loss": {"rate": st.integers(0, 900_000), "delay": st.integers(0, 400)},
}


@given(st.data())
def test_lossless_toxics_keep_every_byte_in_order(data: st.DataObject) -> None:
    """Whatever the chunks, times, updates and removal: all bytes in order, the end last, `held` is exact."""
    name = data.draw(st.sampled_from(sorted(LOSSLESS)))
    attributes = st.fixed_dictionaries(LOSSLESS[name])  # type: ignore[arg-type]
    run = bench(name, seed=data.draw(st.integers(0, 9)), **data.draw(attributes))
    sent = b""
    for step in data.draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 300), st.booleans()), max_size=12)):
        gap_ms, size, update = step
        chunk = bytes((len(sent) + i) % 251 for i in range(size))
        if update:
            run.update(run.now_ns + gap_ms * MS, **data.draw(attributes))
        elif chunk:
            run.data(chunk, run.now_ns + gap_ms * MS)
            sent += chunk
        assert run.stage.held == len(sent) - len(run.data_out)
    run.end(run.now_ns)
    run.remove(run.now_ns + data.draw(st.integers(0, 100)) * MS)
    assert run.data_out == sent
    assert [item for _, item in run.out if not isinstance(item, bytes)] == [End.FIN]
    assert run.out[-1][1] is End.FIN
    assert run.stage.held == 0
