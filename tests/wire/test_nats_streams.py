"""NATS framing as laws: every split of both streams, damaged streams, and what goes on in place of what came."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.wire_record import WireRecord
from chaos.wire import NatsFramer
from tests.wire.nats_messages import Step, msg, pub

TRACED = b"NATS/1.0\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nNats-Msg-Id: m-1\r\n\r\n"
ACK = "$JS.ACK.TASKS.agent.2.7.9.1700000000000000000.3"
INFO = b'INFO {"client_id":42,"connect_urls":["10.0.0.1:4222","[::1]:4222"],"max_payload":1048576} \r\n'

TALK: list[Step] = [
    ("<", INFO),
    (">", b'CONNECT {"pass":"canary"}\r\nPING\r\nSUB _INBOX.x.* 1\r\nSUB tasks.* workers 2\r\nUNSUB 2 9\r\n'),
    ("<", b"PONG\r\n+OK\r\n" + msg("_INBOX.unknown", b"late")),
    (">", pub("tasks.1", b"PUB x 9\r\n", "_INBOX.x.1", TRACED) + pub("plain", b"\r\n") + pub("empty")),
    ("<", msg("_INBOX.x.1", b'{"stream":"TASKS","seq":1}') + msg("tasks.1", b"PUB x 9\r\n", ACK, TRACED)),
    (">", pub(ACK, b"+WPI") + pub(ACK, b'-NAK {"delay": 5}') + pub("$JS.API.CONSUMER.MSG.NEXT.TASKS.agent", b"{}", "_INBOX.x.2")),
    ("<", msg("_INBOX.x.2", b"", "", b"NATS/1.0 100 Idle\r\n\r\n") + msg("_INBOX.x.2", b"", "", b"NATS/1.0 408 Timeout\r\n\r\n")),
    ("<", INFO + b"-ERR 'Stale Connection'\r\n" + msg("rpc", b"1", "_INBOX.y.1")),
    (">", pub("_INBOX.y.1", b"", "", b"NATS/1.0 503\r\n\r\n") + b"PONG\r\n\r\n"),
]  # fmt: skip


def framed(steps: list[Step], *, watched: bool = False) -> tuple[list[WireRecord], dict[str, bytes]]:
    """The records of a conversation, and what went on in each direction."""
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>nats", 1, rows.append)
    out = {">": b"", "<": b""}
    for direction, data in steps:
        if direction == ">":
            framer.feed_request(data, 5, watched=watched)
            passed = data
        else:
            passed = framer.feed_reply(data, 5, watched=watched)
        out[direction] += passed
        if watched:
            framer.passed(direction, len(passed), 5)
    framer.end(5)
    records = [WireRecord(*row) for row in rows]
    # Where stages may act, a reply is told when it left, so that a request of the same chunk may be told before it.
    return sorted(records, key=repr) if watched else records, out


@pytest.mark.parametrize("watched", [False, True])
def test_a_split_at_any_byte_changes_nothing(watched: bool) -> None:
    """Each step cut in two at each of its bytes: the same records, the same bytes on both sides."""
    whole = framed(TALK, watched=watched)
    assert (len(whole[0]), whole[1]["<"].count(b"10.0.0.1")) == (20, 0)
    for number, (direction, data) in enumerate(TALK):
        for at in range(1, len(data)):
            halves = [(direction, data[:at]), (direction, data[at:])]
            assert framed(TALK[:number] + halves + TALK[number + 1 :], watched=watched) == whole, data[:at]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200), st.booleans())
@settings(max_examples=100)
def test_any_pieces_give_the_same(sizes: list[int], watched: bool) -> None:
    """Both streams cut into pieces of any sizes, again and again."""
    pieces: list[Step] = []
    turn = 0
    for direction, rest in TALK:
        while rest:
            size = sizes[turn % len(sizes)]
            pieces.append((direction, rest[:size]))
            rest, turn = rest[size:], turn + 1  # noqa: PLW2901
    assert framed(pieces, watched=watched) == framed(TALK, watched=watched)


DAMAGE = st.lists(
    st.tuples(st.integers(0, len(TALK) - 1), st.floats(0, 1), st.sampled_from(["drop", "flip", "insert", "double"]), st.binary(max_size=9)),
    min_size=1,
    max_size=6,
)  # fmt: skip


def damaged(damage: list[tuple[int, float, str, bytes]]) -> list[Step]:
    """The conversation with bytes missing, changed, added or said twice."""
    steps = list(TALK)
    for number, where, how, noise in damage:
        direction, data = steps[number]
        at = int(where * len(data))
        piece = {
            "drop": b"",
            "flip": bytes(byte ^ 0x55 for byte in data[at : at + 3]),
            "insert": noise + data[at : at + 3],
        }
        steps[number] = (direction, data[:at] + piece.get(how, data[at : at + 3] * 2) + data[at + 3 :])
    return steps


@given(DAMAGE, st.booleans())
@settings(max_examples=400)
def test_damaged_streams_pass_as_they_are(damage: list[tuple[int, float, str, bytes]], watched: bool) -> None:
    """Whatever is wrong with a stream, nothing raises, and it goes on byte for byte but for addresses in INFO, as long as it was."""
    steps = damaged(damage)
    records, out = framed(steps, watched=watched)
    for direction in "><":
        came = b"".join(data for way, data in steps if way == direction)
        assert len(out[direction]) == len(came)
        changed = [at for at, (a, b) in enumerate(zip(came, out[direction], strict=True)) if a != b]
        assert not changed or direction == "<"
        assert all(out["<"][at] == 0x20 for at in changed)
        if b"connect_urls" not in came:
            assert not changed
    assert sum(record.kind == "raw" for record in records) in {0, 2}


URLS = st.lists(
    st.text(max_size=20) | st.sampled_from(["127.0.0.1:4242", "[::1]:4222", 'a"]b', "\\", "h:1,h:2"]), max_size=5
)
OTHERS = st.dictionaries(
    st.text(max_size=8), st.none() | st.integers() | st.text(max_size=30) | st.lists(st.text(max_size=5)), max_size=5
)


@given(URLS, URLS, OTHERS, st.booleans(), st.integers(1, 80))
@settings(max_examples=300)
def test_no_address_in_info_reaches_the_caller(
    urls: list[str], ws: list[str], others: dict[str, Any], spaced: bool, size: int
) -> None:
    """Whatever else INFO says and however it comes: the lists are empty, everything else is as it was, and what follows is framed."""
    info = {**others, "connect_urls": urls, "x": 1, "ws_connect_urls": ws}
    text = json.dumps(info, separators=None if spaced else (",", ":"), ensure_ascii=spaced).encode()
    stream = b"INFO " + text + b"\r\n" + msg("tasks", b"x")
    records, out = framed([("<", stream[at : at + size]) for at in range(0, len(stream), size)])
    line, rest = out["<"].split(b"\r\n", 1)
    assert json.loads(line.removeprefix(b"INFO ")) == info | {"connect_urls": [], "ws_connect_urls": []}
    assert rest == msg("tasks", b"x")
    assert len(out["<"]) == len(stream)
    assert records[-1].signature == "MSG tasks"
