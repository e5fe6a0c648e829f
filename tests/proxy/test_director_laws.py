"""Laws of directors, whatever is said, however it is cut, whenever faults come and go: what no fault acts on is as it was."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.link import Protocol
from chaos.proxy import TOXIC_TYPES
from tests.proxy.directed_rig import Directed, directed
from tests.proxy.http_streams import PLAIN, get, of_chunks, ok, post, stream
from tests.wire.nats_messages import msg, pub
from tests.wire.postgres_messages import OPENED, ROW, SYNC, bind, describe, done, execute, failed, parse, query, ready

Step = tuple[str, bytes]

HTTP: list[list[Step]] = [
    *([(">", one.request), ("<", one.response)] for one in [*PLAIN, of_chunks([b"a", b"bc" * 9])]),
    [(">", get() + post(b"x", "/y")), ("<", ok(b"one") + ok(b"two"))],
    [(">", get("/s")), ("<", stream(b"data: 1\n\ndata", b": 2\n\n", kind="text/event-stream"))],
]
POSTGRES: list[list[Step]] = [
    [(">", query("BEGIN")), ("<", done("BEGIN") + ready("T")), (">", query("COMMIT")), ("<", done("COMMIT") + ready())],
    [(">", query("SELECT 1")), ("<", ROW + ROW[7:] * 2 + done("SELECT 3") + ready())],
    [(">", parse("a", "INSERT INTO t") + bind("a") + execute() + SYNC), ("<", b"1\0\0\0\x042\0\0\0\x04" + done("INSERT 0 1") + ready())],
    [(">", parse("", "SELECT 2") + describe() + SYNC + query("SELECT 3")),
     ("<", b"1\0\0\0\x04" + b"n\0\0\0\x04" + ready() + failed("42601") + ready())],
]  # fmt: skip
NATS: list[list[Step]] = [
    [(">", pub("a", b"x")), ("<", msg("b", b"y"))],
    [(">", pub("ask", b"?", "_INBOX.1")), ("<", msg("_INBOX.1", b"!") + msg("news", b"n"))],
    [("<", msg("tasks", b"do", "$JS.ACK.S.c.1.1.1.1.0")), (">", pub("$JS.ACK.S.c.1.1.1.1.0", b"+ACK") + pub("c"))],
    [(">", b"PING\r\n" + pub("h", b"x", headers=b"NATS/1.0\r\nA: b\r\n\r\n")), ("<", b"PONG\r\n+OK\r\n")],
]
TALKS: dict[Protocol, tuple[list[Step], list[list[Step]]]] = {
    Protocol.HTTP: ([], HTTP),
    Protocol.POSTGRES: (OPENED, POSTGRES),
    Protocol.NATS: ([("<", b'INFO {"client_id":7}\r\n'), (">", b"CONNECT {}\r\nSUB b 9\r\n")], NATS),
}
protocols = pytest.mark.parametrize("protocol", list(TALKS), ids=[one.value for one in TALKS])
picks = st.lists(st.tuples(st.integers(0, 99), st.lists(st.integers(0, 400), max_size=4)), min_size=1, max_size=6)
"""Which exchange comes next, and where its bytes are cut."""


def conversation(protocol: Protocol, picked: list[tuple[int, list[int]]]) -> list[Step]:
    """Exchanges in a row, cut into chunks."""
    begin, shapes = TALKS[protocol]
    steps = list(begin)
    for index, cuts in picked:
        for direction, data in shapes[index % len(shapes)]:
            places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
            steps += [(direction, data[start:stop]) for start, stop in pairwise(places)]
    return steps


async def plain(protocol: Protocol, steps: list[Step]) -> tuple[dict[str, bytes], list[Any]]:
    """What comes of a conversation without faults."""
    async with directed(protocol) as one:
        for direction, data in steps:
            one.feed(direction, data)
        return one.out, one.records()


@protocols
@given(picked=picks, events=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["add", "heal"])), max_size=6))
@settings(max_examples=150)
def test_what_no_fault_takes_is_as_it_was(protocol: Protocol, picked: Any, events: list[tuple[int, str]]) -> None:
    """Bytes and records are the same, whenever directors come and go."""
    steps = conversation(protocol, picked)

    async def run() -> None:
        async with directed(protocol) as one:
            for at, step in enumerate(steps):
                for when, what in events:
                    if when % len(steps) == at and what == "heal":
                        one.heal()
                    elif when % len(steps) == at:
                        one.fault("cut", name=f"t{when}.{len(one.proxy.toxics)}", match="NOTHING")
                one.feed(*step)
            out, records = await plain(protocol, steps)
            assert one.out == out
            # A reply may be told when its bytes leave, behind what came in the same segment.
            assert Counter(map(repr, one.records())) == Counter(map(repr, records))
            one.heal()
            assert not one.connection.up.seats + one.connection.down.seats

    asyncio.run(run())


@protocols
@given(picked=picks, phase=st.sampled_from(["before", "after", "during:1", "during:2"]), count=st.integers(1, 3))
@settings(max_examples=150)
def test_what_is_held_is_late_and_nothing_else(protocol: Protocol, picked: Any, phase: str, count: int) -> None:
    """When it is over everything has arrived, in order; where messages pass each other, each once."""
    steps = conversation(protocol, picked)
    if protocol is Protocol.NATS and phase.startswith("during"):
        phase = "after"

    async def run() -> None:
        async with directed(protocol) as one:
            one.fault("hold", phase=phase, count={"every": count}, attributes={"hold": 3_600_000})
            for step in steps:
                one.feed(*step)
            one.heal()
            out, _ = await plain(protocol, steps)
            if protocol is Protocol.NATS:
                assert {way: Counter(data.split(b"\r\n")) for way, data in one.out.items()} == {
                    way: Counter(data.split(b"\r\n")) for way, data in out.items()
                }
            else:
                assert one.out == out
            assert (one.connection.up.held, one.connection.down.held) == (0, 0)
            assert not one.connection.up.seats + one.connection.down.seats

    asyncio.run(run())


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.POSTGRES], ids=["http", "postgres"])
@given(
    picked=picks,
    kind=st.sampled_from(["cut", "drop", "hold"]),
    phase=st.sampled_from(["before", "after", "during:1", "during:2"]),
    count=st.integers(1, 4),
    fin=st.integers(0, 1),
    after=st.integers(0, 20),
)
@settings(max_examples=200)
def test_a_stream_has_no_hole(
    protocol: Protocol, picked: Any, kind: str, phase: str, count: int, fin: int, after: int
) -> None:
    """Where answers come in order, what arrives is always the beginning of what was sent, before the fault is over and behind."""
    steps = conversation(protocol, picked)

    async def run() -> None:
        out, _ = await plain(protocol, steps)
        async with directed(protocol) as one:
            members = {"hold": {"attributes": {"hold": 3_600_000}}, "cut": {"attributes": {"fin": fin}}}.get(kind, {})
            one.fault(kind, phase=phase, count={"nth": count}, **members)
            for at, step in enumerate(steps):
                if at == after + 3:
                    one.heal()
                one.feed(*step)
                for way, data in one.out.items():
                    assert out[way].startswith(data)

    asyncio.run(run())


FAULTS = sorted(name for name, kind in TOXIC_TYPES.items() if kind.action is not None)
ANSWERS = {Protocol.HTTP: "503", Protocol.POSTGRES: "40001", Protocol.NATS: "no-responders"}
PHASES = ["before", "after", "during:1", "during:2"]
faults = st.tuples(st.sampled_from(FAULTS), st.sampled_from(PHASES), st.integers(1, 2), st.booleans())
bouts = st.lists(
    st.tuples(
        st.lists(faults, max_size=2),
        st.integers(0, 99),
        st.lists(st.integers(0, 400), max_size=3),
        st.integers(0, 9),
        st.sampled_from(["", "", "", "", "heal", "fin>", "fin<", "garbage>", "garbage<"]),
    ),
    min_size=1,
    max_size=6,
)
"""Faults to add, an exchange with its cuts, how many of its chunks are left out, and what happens then."""


def add(one: Directed, protocol: Protocol, name: str, fault: tuple[str, str, int, bool]) -> None:
    """Add a fault of that name, or do nothing if it means nothing there."""
    type_, phase, count, first = fault
    action = TOXIC_TYPES[type_].action
    assert action is not None
    where = {word.value: taken for word, taken in action.phases.items()}
    if protocol not in where.get(phase.partition(":")[0], ()):
        return
    members: dict[str, Any] = {"attributes": {"hold": 3_600_000}} if type_ == "hold" else {}
    if type_ == "error":
        members["answer"] = ANSWERS[protocol]
    one.fault(type_, name=name, phase=phase, count={"first" if first else "every": count}, **members)


def happen(one: Directed, what: str) -> None:
    """Something that is not part of a conversation."""
    if what == "heal":
        one.heal()
    elif what.startswith("fin"):
        one.end(what[-1])
    elif what:
        one.feed(what[-1], b"\0garbage\r\n")


@protocols
@given(plot=bouts)
@settings(max_examples=400)
def test_anything_may_come_and_nothing_raises(protocol: Protocol, plot: list[Any]) -> None:
    """Any talk, any faults, any ends: an act is told once, no exchange is told twice, in the end nobody sits there who owes nothing."""
    begin, shapes = TALKS[protocol]

    async def run() -> None:
        async with directed(protocol) as one:
            for step in begin:
                one.feed(*step)
            for bout, (added, index, cuts, short, then) in enumerate(plot):
                for number, fault in enumerate(added):
                    add(one, protocol, f"t{bout}.{number}", fault)
                steps = conversation(protocol, [(index % len(shapes), cuts)])[len(begin) :]
                for step in steps[: len(steps) - (short - 5 if short > 5 else 0)]:
                    one.feed(*step)
                happen(one, then)
            one.heal()
            records = one.records()
            acted = [(one.number, one.signature, one.faults) for one in records if one.kind == "acted"]
            assert len(set(acted)) == len(acted)
            for pipe in (one.connection.up, one.connection.down):
                assert pipe.held == 0 or one.owes
            assert one.owes == bool(one.connection.up.seats)
            replies = Counter(record.number for record in records if record.kind == "reply" and record.number)
            if protocol is not Protocol.NATS:  # an acknowledgement may come twice
                assert set(replies.values()) <= {1}

    asyncio.run(run())


@protocols
async def test_nothing_is_left_for_the_garbage_collector(protocol: Protocol) -> None:
    """Which stands still while a fault is scheduled: of a connection that was directed no part is in a knot once it is gone."""
    gc.collect()
    gc.disable()
    try:
        async with directed(protocol) as one:
            one.fault("hold", phase="after", attributes={"hold": 3_600_000}, count={"every": 2})
            one.fault("latency", match="NOTHING", stream="both")
            for step in conversation(protocol, [(0, []), (1, [3]), (2, [])]):
                one.feed(*step)
            assert one.connection.up.seats
            proxy = one.proxy
        del one
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left = {type(part).__name__ for part in gc.garbage if type(part).__module__.startswith("chaos.")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert (left, proxy.connections()) == (set(), ())
