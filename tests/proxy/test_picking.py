"""Counts, matches, gates and ramps as pure parts: what is picked, whatever the order of chunks and connections."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.link import Protocol
from chaos.proxy.counting import Count, Recent, Scope, Tally, Unit, matcher
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.gate import GatedStage, Turns, chooser
from chaos.proxy.picking import ramp_of, tally_of
from chaos.proxy.ramp import RampedStage
from chaos.proxy.settings import ToxicSpec
from chaos.proxy.stage import MS, End
from chaos.proxy.toxics import TOXIC_TYPES


def unit(number: int, signature: str = "GET /", op: str = "", trace: str = "") -> Unit:
    """A message."""
    return Unit(number=number, signature=signature, op_id=op, trace_id=trace)


@pytest.mark.parametrize(
    ("given_", "taken"),
    [({"first": 2}, [1, 2]), ({"every": 3}, [3, 6, 9]), ({"nth": 4}, [4]), ({"every": 1}, list(range(1, 10)))],
)
def test_counts_begin_at_one(given_: dict[str, int], taken: list[int]) -> None:
    """The first n, every n-th, only the n-th."""
    count = Count.of(given_)
    assert [position for position in range(1, 10) if count.takes(position)] == taken


@pytest.mark.parametrize("given_", [{}, {"first": 0}, {"nth": -1}, {"last": 2}, {"first": 1, "nth": 2}])
def test_counts_that_mean_nothing_are_refused(given_: dict[str, int]) -> None:
    """With the words that can be used."""
    with pytest.raises(ValueError, match="count"):
        Count.of(given_)


def test_a_unit_is_decided_once() -> None:
    """Both directions and every chunk of a message get the same answer, and count once."""
    tally = Tally(Count.of({"first": 1}), Scope.LINK, None)
    assert [tally.takes(1, unit(1)) for _ in range(5)] == [True] * 5
    assert not tally.takes(1, unit(2))
    assert not tally.takes(2, unit(1))


def test_messages_that_share_a_number_can_be_decided_one_by_one() -> None:
    """A delivery and its acknowledgements are of one exchange, and each a message of its own to who asks about each once."""
    tally = Tally(Count.of({"nth": 2}), Scope.LINK, matcher("PUB *"))
    assert [tally.decide(1, unit(1, name)) for name in ("MSG a", "PUB b", "PUB b", "PUB b")] == [
        False,
        False,
        True,
        False,
    ]


def test_a_count_begins_anew_for_each_connection_or_operation() -> None:
    """The first attempt of each operation is not the first message of the link."""
    per_connection = Tally(Count.of({"nth": 2}), Scope.CONNECTION, None)
    assert [per_connection.takes(c, unit(n)) for n in (1, 2, 3) for c in (1, 2)] == [False] * 2 + [True] * 2 + [
        False
    ] * 2
    per_operation = Tally(Count.of({"first": 2}), Scope.OPERATION, None)
    calls = [("a", 1), ("b", 2), ("a", 3), ("b", 4), ("a", 5), ("b", 6)]
    assert [per_operation.takes(1, unit(n, op=op)) for op, n in calls] == [True] * 4 + [False] * 2
    assert per_operation.takes(1, unit(7, trace="t"))
    assert not per_operation.takes(1, unit(8))


def test_only_what_matches_is_counted() -> None:
    """`every` second POST, whatever else passes."""
    tally = Tally(Count.of({"every": 2}), Scope.LINK, matcher("POST"))
    calls = ["GET /", "POST /a", "GET /", "POST /a", "POST /b", "POST /b"]
    assert [tally.takes(1, unit(n, call)) for n, call in enumerate(calls)] == [False, False, False, True, False, True]


@pytest.mark.parametrize(
    ("pattern", "matches", "other"),
    [
        ("POST", "POST /v1/documents", "GET /POST /x"),
        ("/v1/documents/{id}", "DELETE /v1/documents/{id}", "GET /v1/documents"),
        ("/v1/*", "GET /v1/documents/{id}", "GET /v2/documents"),
        ("GET /v1/*/text", "GET /v1/{id}/text", "GET /v1/{id}"),
        ("*", "GET /", None),
        ("COMMIT", "COMMIT", "COMMITTED"),
        ("INSERT", "INSERT INTO t VALUES (?)", "BEGIN; INSERT"),
        ("*documents*", "PUT /v1/documents/{id}", "GET /"),
    ],
)
def test_patterns_of_signatures(pattern: str, matches: str, other: str | None) -> None:
    """Method, route or both; `*` is anything, everything else is itself."""
    assert matcher(pattern)(unit(1, matches))
    assert other is None or not matcher(pattern)(unit(1, other))


def test_patterns_of_operations() -> None:
    """After `op:` it is about the op id."""
    assert matcher("op:ingest-*")(unit(1, op="ingest-7"))
    assert not matcher("op:ingest-*")(unit(1, "ingest-7"))
    assert not matcher("op:*")(unit(1))


@given(st.lists(st.sampled_from("><"), max_size=40))
def test_both_directions_agree_on_the_turn(story: list[str]) -> None:
    """A turn begins when the caller speaks after the callee has; the callee's words belong to the turn they answer."""
    received = {">": 0, "<": 0}
    turns = {">": Turns(lambda: received["<"]).up, "<": Turns(lambda: received[">"]).down}
    expected, last = 0, ""
    for direction in story:
        received[direction] += 1
        if direction == ">" and last != ">":
            expected += 1
        last = direction
        seen = turns[direction]()
        assert seen == ((Unit(number=expected),) if expected else ())


def test_what_is_remembered_is_bounded() -> None:
    """The first put is the first forgotten."""
    recent: Recent[int, int] = Recent(most=3)
    for i in range(5):
        recent.put(i, i)
    assert (len(recent), recent.get(1), recent.get(4)) == (3, None, 4)


def test_a_gate_lets_its_unit_through_the_stage_and_others_past_it() -> None:
    """Nothing begins before the first that is taken, and order is kept while the stage holds bytes."""
    numbers = iter([1, 2, 3, 3])
    tally = Tally(Count.of({"nth": 2}), Scope.LINK, None)
    kind = TOXIC_TYPES["latency"]
    assert kind.stage is not None
    made: list[int] = []

    def make(attributes: object, now_ns: int) -> object:
        made.append(now_ns)
        return kind.stage(attributes, lambda: Random(1), now_ns)  # type: ignore[misc]

    gate = GatedStage(
        kind.decode({"latency": 10}), 5, make, chooser(tally, 1, lambda: (unit(next(numbers)),))  # type: ignore[arg-type]
    )  # fmt: skip
    assert gate.capacity == 5
    assert gate.data(b"a", 0) == [b"a"]
    assert (made, gate.acted, gate.wake_ns) == ([], False, None)
    assert gate.data(b"b", 1) == []
    assert (gate.acted, gate.held, gate.wake_ns) == (True, 1, 10 * MS + 1)
    gate.acted = False
    assert gate.data(b"c", 2) == []
    assert gate.wake(20 * MS) == [b"b", b"c"]
    assert gate.data(b"d", 30 * MS) == [b"d"]
    assert not gate.acted or gate.held == 0
    assert gate.end(End.FIN, 30 * MS) == [End.FIN]
    assert (gate.remove(31 * MS), gate.wake_ns) == ([], None)


def test_a_ramp_grows_in_a_straight_line() -> None:
    """Latency from nothing to 100 ms in one second, by microseconds; then it stays; all bytes pass in order."""
    kind = TOXIC_TYPES["latency"]
    assert kind.stage is not None
    stage_type = kind.stage

    def make(attributes: object, now_ns: int) -> object:
        return stage_type(attributes, lambda: Random(1), now_ns)

    since_ns = 5 * MS
    ramp = RampedStage(kind.decode({"latency": 100}), 5, make, (since_ns, 1000 * MS), since_ns)  # type: ignore[arg-type]
    assert ramp.data(b"0", since_ns) == [b"0"]
    delays = []
    for at_ms in (10, 255, 500, 999, 1000, 5000):
        now_ns = since_ns + at_ms * MS
        assert ramp.data(b"x", now_ns) == []
        start_ns = now_ns
        while ramp.held:
            assert ramp.wake_ns is not None
            now_ns = ramp.wake_ns
            ramp.wake(now_ns)
        delays.append((now_ns - start_ns) / MS)
    assert delays == [1, 25.5, 50, 99.9, 100, 100]


def test_a_ramped_stall_eases() -> None:
    """A bandwidth that grows from 0 lets what waits go once there is rate enough."""
    kind = TOXIC_TYPES["bandwidth"]
    assert kind.stage is not None
    stage_type = kind.stage

    def make(attributes: object, now_ns: int) -> object:
        return stage_type(attributes, lambda: Random(1), now_ns)

    ramp = RampedStage(kind.decode({"rate": 100}), 5, make, (0, 1000 * MS), 0)  # type: ignore[arg-type]
    got, now_ns = ramp.data(bytes(2000), 0), 0
    while ramp.held:
        assert ramp.wake_ns is not None
        now_ns = max(now_ns, ramp.wake_ns)
        got += ramp.wake(now_ns)
    assert sum(map(len, got)) == 2000  # type: ignore[arg-type]
    assert 0 < now_ns < 1000 * MS


@pytest.mark.parametrize(
    ("type_", "members", "framed", "text"),
    [
        ("latency", {"per": "connection"}, True, "give count, too"),
        (
            "latency",
            {"count": {"first": 1}, "per": "moon"},
            True,
            "per 'moon' is unknown, it can be link, connection, operation",
        ),
        ("latency", {"count": {"first": 1}, "per": "operation"}, False, "per operation needs a link whose messages"),
        ("latency", {"match": "POST"}, False, "match needs a link whose messages"),
        ("latency", {"count": {}}, True, "count is one of"),
        ("refuse", {"count": {"first": 1}}, True, "refuse acts on the whole link"),
        ("hang", {"match": "POST"}, True, "hang acts on the whole link"),
        ("accept_close", {"count": {"first": 1}, "per": "connection"}, True, "accept_close counts connections"),
    ],
)
def test_what_cannot_be_picked_is_refused(type_: str, members: dict[str, object], framed: bool, text: str) -> None:
    """With status 400, and what to do instead."""
    with pytest.raises(BadAttributesError, match=text) as caught:
        tally_of(ToxicSpec(type=type_, **members), TOXIC_TYPES[type_], Protocol.HTTP if framed else None)  # type: ignore[arg-type]
    assert caught.value.status == 400


@pytest.mark.parametrize(("type_", "ramp_ms"), [("refuse", 5.0), ("noop", 5.0), ("latency", -1.0)])
def test_ramps_that_mean_nothing_are_refused(type_: str, ramp_ms: float) -> None:
    """There must be something that grows, forward in time."""
    with pytest.raises(BadAttributesError, match="ramp_ms"):
        ramp_of(ToxicSpec(type=type_, ramp_ms=ramp_ms), TOXIC_TYPES[type_])
