"""Marks of faults that a real server did, put into our recorder's log: what passed while a fault was surely on, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos.links.marking import Marker
from chaos.model.wire_record import WireRecord

MS = 1_000_000


def batch(*records: tuple[Any, ...]) -> bytes:
    """A batch as the recorder ships it."""
    return msgspec.msgpack.encode(list(records))


def faults(data: bytes) -> list[tuple[str, ...]]:
    """The faults of each record."""
    return [one.faults for one in msgspec.msgpack.decode(data, type=list[WireRecord])]


def request(t_ms: int, link: str = "a>b", kind: str = "request") -> tuple[Any, ...]:
    """A record with as few fields as the proxy sends."""
    return (t_ms * MS, kind, link, 1, 1, ">", "GET /", 10)


def test_without_a_fault_a_batch_is_passed_on_as_it_is() -> None:
    """Not even decoded: it may be anything."""
    assert Marker().mark(b"as it is") == b"as it is"


@pytest.mark.parametrize(
    ("t_ms", "marked"), [(99, False), (100, False), (105, True), (150, True), (200, True), (201, False), (300, False)]
)
def test_what_passes_while_it_is_surely_on_is_hit(t_ms: int, marked: bool) -> None:
    """From the reply to the request that began it, until the request that ended it."""
    marker = Marker()
    marker.asked("slow", "a>b", 95 * MS)
    marker.sure("slow", "a>b", 101 * MS)
    marker.unsure("slow", "a>b", 200 * MS)
    marker.ends("slow", "a>b", 230 * MS, "ended")
    assert faults(marker.mark(batch(request(t_ms)))) == [("slow",) if marked else ()]


def close(t_ms: int, connection: int, *faults: str, nbytes: int = 20) -> tuple[Any, ...]:
    """A connection's end."""
    return (t_ms * MS, "close", "a>b", connection, 0, "", "", nbytes, faults, "fin")


def test_only_messages_of_its_link_are_marked() -> None:
    """An `open` is no message, and another link is another link."""
    marker = Marker()
    marker.sure("slow", "a>b", 1)
    records = (
        request(5),
        request(6, "c>d"),
        (7 * MS, "open", "a>b", 2),
        (9 * MS, "reply", "a>b", 1, 1, "<", "GET /", 10, ("other",), "200"),
    )
    assert faults(marker.mark(batch(*records))) == [("slow",), (), (), ("other", "slow")]


def test_an_ordinary_end_of_a_connection_is_not_the_faults_doing() -> None:
    """A pool closes what it has had for long, and what it has used for messages that are marked themselves."""
    marker = Marker()
    marker.sure("slow", "a>b", 5 * MS)
    used = (10 * MS, "request", "a>b", 2, 1, ">", "GET /", 10)
    records = (close(8, 1, "other"), (9 * MS, "open", "a>b", 2), used, close(11, 2))
    assert faults(marker.mark(batch(*records))) == [("other",), (), ("slow",), ()]


def test_one_that_ends_connections_is_marked_on_their_ends() -> None:
    """`reset_peer` and its like: nothing else shows what they did."""
    marker = Marker()
    marker.sure("cut", "a>b", 5 * MS, ends_connections=True)
    assert faults(marker.mark(batch(close(4, 1), close(8, 2)))) == [(), ("cut",)]


@pytest.mark.parametrize(("opened_ms", "nbytes", "marked"), [(4, 20, False), (6, 20, True), (6, 0, False)])
def test_bytes_that_nobody_frames_are_known_by_their_connection(opened_ms: int, nbytes: int, marked: bool) -> None:
    """Opened and closed while it was surely on: whatever passed met it. Else nobody knows when it passed."""
    marker = Marker()
    marker.sure("slow", "a>b", 5 * MS)
    records = ((opened_ms * MS, "open", "a>b", 1), close(9, 1, nbytes=nbytes))
    assert faults(marker.mark(batch(*records))) == [(), ("slow",) if marked else ()]


def test_why_one_of_the_recorders_own_ended_is_told_as_it_was() -> None:
    """Ended from outside it says `healed`; an end of its own stays what it is."""
    marker = Marker()
    off = (5 * MS, "off", "a>b", 0, 0, "", "", 0, ("f",), "healed")
    marker.ends_there("f", "a>b", 4 * MS, "ended")
    [told, again] = msgspec.msgpack.decode(marker.mark(batch(off, off)), type=list[WireRecord])
    assert (told.status, again.status) == ("ended", "healed")
    marker.ends_there("f", "a>b", 4 * MS, "ended")
    [own] = msgspec.msgpack.decode(marker.mark(batch((*off[:-1], "hard-end"))), type=list[WireRecord])
    assert own.status == "hard-end"


def test_onset_and_end_are_told_once() -> None:
    """The onset is the earliest moment at which it may have begun, the end the latest."""
    calls: list[str] = []
    marker = Marker(lambda: calls.append("told"))
    marker.asked("slow", "a>b", 95)
    marker.sure("slow", "a>b", 101)
    marker.ends("slow", "a>b", 230, "healed")
    assert calls == ["told", "told"]
    [told] = marker.take()
    on, off = msgspec.msgpack.decode(told, type=list[WireRecord])
    assert (on.t_ns, on.kind, on.link, on.faults) == (95, "on", "a>b", ("slow",))
    assert (off.t_ns, off.kind, off.status, off.faults) == (230, "off", "healed", ("slow",))
    assert marker.take() == []
