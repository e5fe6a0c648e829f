"""Laws for every file in the toxics' folder: its attributes do no harm, and what is lossless keeps every byte in order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import MS, End
from chaos.proxy.toxics import TOXIC_TYPES
from tests.proxy.stage_rig import Bench, bench


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
