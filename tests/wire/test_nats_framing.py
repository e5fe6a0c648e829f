"""NATS framing: what each shape of a conversation is recorded as, whatever its pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.wire_record import WireRecord
from chaos.wire import NatsFramer
from chaos.wire.nats_subject import covers, subject_signature
from tests.wire.nats_messages import Step, msg, pub

Brief = list[tuple[str, int, str, str, str]]

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
INFO = b'INFO {"server_id":"x","client_id":42,"max_payload":1048576} \r\n'
CONNECT = b'CONNECT {"verbose":false,"user":"u","pass":"canary"}\r\n'
HEADERS = (
    f"NATS/1.0\r\ntraceparent: 00-{TRACE}-{PARENT}-01\r\nBaggage: a=b,op.id=run%2F7\r\nX-Budget-Ms: 1500\r\n"
    "Nats-Msg-Id: m-1\r\n\r\n"
).encode()
TRACED = f"NATS/1.0\r\ntraceparent: 00-{TRACE}-{PARENT}-00\r\n\r\n".encode()
ACK = "$JS.ACK.TASKS.agent.{}.7.9.1700000000000000000.3"


def run(steps: list[Step], *, end: bool = True) -> list[WireRecord]:
    """The records of a conversation."""
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("agent>nats", 7, rows.append)
    for direction, data in steps:
        if direction == ">":
            framer.feed_request(data, 5)
        else:
            assert len(framer.feed_reply(data, 5)) == len(data)
    if end:
        framer.end(5)
    return [WireRecord(*row) for row in rows]


def brief(steps: list[Step]) -> Brief:
    """Kind, number, direction, signature and status of each record."""
    return [(row.kind, row.number, row.direction, row.signature, row.status) for row in run(steps)]


STATUS_503 = b"NATS/1.0 503\r\n\r\n"
SHAPES: dict[str, tuple[list[Step], Brief]] = {
    "begin": (
        [("<", INFO), (">", CONNECT + b"PING\r\n"), ("<", b"PONG\r\n+OK\r\n"), (">", b"SUB a.b q 1\r\nUNSUB 1 5\r\nUNSUB 1\r\n")],
        [
            ("request", 1, ">", "CONNECT", ""),
            ("request", 2, ">", "SUB a.b", ""),
            ("request", 3, ">", "UNSUB a.b", ""),
            ("request", 4, ">", "UNSUB a.b", ""),
        ],
    ),
    "publish": (
        [(">", pub("tasks.42.run", b"hello\r\nPUB x 1\r\n") + pub("tasks.a") + b"pub x 1\r\ny\r\n")],
        [
            ("request", 1, ">", "PUB tasks.{id}.run", ""),
            ("request", 2, ">", "PUB tasks.a", ""),
            ("request", 3, ">", "PUB x", ""),
        ],
    ),
    "request": (
        [(">", pub("rpc.sum", b"1", "_INBOX.abc.1")), ("<", msg("_INBOX.abc.1", b"2"))],
        [("request", 1, ">", "PUB rpc.sum", ""), ("reply", 1, "<", "PUB rpc.sum", "ok")],
    ),
    "no-responders": (
        [(">", pub("rpc.sum", b"1", "_INBOX.abc.1")), ("<", msg("_INBOX.abc.1", b"", "", STATUS_503))],
        [("request", 1, ">", "PUB rpc.sum", ""), ("reply", 1, "<", "PUB rpc.sum", "503")],
    ),
    "serve": (
        [("<", msg("rpc.sum", b"1", "_INBOX.xyz.1")), (">", pub("_INBOX.xyz.1", b"2"))],
        [("request", 1, "<", "MSG rpc.sum", ""), ("reply", 1, ">", "MSG rpc.sum", "ok")],
    ),
    "deliver-and-ack": (
        [("<", msg("tasks.1", b"x", ACK.format(2))), (">", pub(ACK.format(2), b"+WPI") + pub(ACK.format(2)))],
        [
            ("request", 1, "<", "MSG tasks.{id}", ""),
            ("reply", 1, ">", "PUB +WPI $JS.ACK.TASKS.agent", "+WPI"),
            ("reply", 1, ">", "PUB $JS.ACK.TASKS.agent", "+ACK"),
        ],
    ),
    "nak": (
        [("<", msg("tasks.1", b"x", ACK.format(1))), (">", pub(ACK.format(1), b'-NAK {"delay": 5}'))],
        [("request", 1, "<", "MSG tasks.{id}", ""), ("reply", 1, ">", "PUB -NAK $JS.ACK.TASKS.agent", "-NAK")],
    ),
    "ack-of-unknown": (
        [(">", pub("$JS.ACK.hub.h4sh.TASKS.agent.3.7.9.17.0.r4nd", b"+TERM"))],
        [("reply", 0, ">", "PUB +TERM $JS.ACK.TASKS.agent", "+TERM")],
    ),
    "js-publish": (
        [
            (">", pub("tasks.1", b"x", "_INBOX.a.1") + pub("tasks.2", b"x", "_INBOX.a.2")),
            ("<", msg("_INBOX.a.2", b'{"error":{"code":503,"err_code":10077,"description":"no"},"stream":"T","seq":0}')),
            ("<", msg("_INBOX.a.1", b'{"stream":"T","seq":1}')),
        ],
        [
            ("request", 1, ">", "PUB tasks.{id}", ""),
            ("request", 2, ">", "PUB tasks.{id}", ""),
            ("reply", 2, "<", "PUB tasks.{id}", "err 10077"),
            ("reply", 1, "<", "PUB tasks.{id}", "ok"),
        ],
    ),
    "pull": (
        [
            (">", pub("$JS.API.CONSUMER.MSG.NEXT.TASKS.agent", b'{"batch":1}', "_INBOX.p.1")),
            ("<", msg("tasks.1", b"x", ACK.format(1))),
            ("<", msg("_INBOX.p.1", b"", "", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n")),
            ("<", msg("_INBOX.p.1", b"", "", b"NATS/1.0 408 Request Timeout\r\n\r\n")),
        ],
        [
            ("request", 1, ">", "PUB $JS.API.CONSUMER.MSG.NEXT.TASKS.agent", ""),
            ("request", 2, "<", "MSG tasks.{id}", ""),
            ("request", 3, "<", "~heartbeat", ""),
            ("reply", 0, "<", "", "408"),
            ("reply", 2, ">", "MSG tasks.{id}", "aborted"),
        ],
    ),
    "inbox-used-again": (
        [(">", pub("a", b"", "in") + pub("b", b"", "in")), ("<", msg("in"))],
        [
            ("request", 1, ">", "PUB a", ""),
            ("request", 2, ">", "PUB b", ""),
            ("reply", 1, "<", "PUB a", "unanswered"),
            ("reply", 2, "<", "PUB b", "ok"),
        ],
    ),
    "error": (
        [("<", b"-ERR 'Authorization Violation'\r\n")],
        [("reply", 0, "<", "", "-ERR 'Authorization Violation'")],
    ),
    "cut-inside": (
        [(">", b"PUB a 10\r\nhel"), ("<", b"MSG b 1 r 4\r\nx")],
        [
            ("request", 1, ">", "PUB a", "aborted"),
            ("reply", 1, ">", "PUB a", "aborted"),
            ("request", 2, "<", "MSG b", "aborted"),
            ("reply", 2, "<", "MSG b", "aborted"),
        ],
    ),
    "tls": ([("<", INFO), (">", b"\x16\x03\x01")], [("raw", 0, ">", "", "tls"), ("raw", 0, "<", "", "tls")]),
    "websocket": ([(">", b"GET / HTTP/1.1\r\n")], [("raw", 0, ">", "", ""), ("raw", 0, "<", "", "")]),
    "bad-size": ([(">", b"PUB a -1\r\n")], [("raw", 0, ">", "", ""), ("raw", 0, "<", "", "")]),
    "huge-size": ([("<", b"MSG a 1 9999999999\r\n")], [("raw", 0, "<", "", ""), ("raw", 0, ">", "", "")]),
    "headers-longer-than-all": ([(">", b"HPUB a 9 8\r\n")], [("raw", 0, ">", "", ""), ("raw", 0, "<", "", "")]),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_shape_of_a_conversation(shape: str) -> None:
    """Every way of the protocol gives the records it should."""
    steps, expected = SHAPES[shape]
    assert brief(steps) == expected


def test_headers_say_what_oracles_need() -> None:
    """Trace, parent, sampled bit, operation, budget and message id are in a publish and in the reply to it."""
    sent = pub("tasks.run", b"x", "_INBOX.a.1", HEADERS)
    request, reply = run([(">", sent), ("<", msg("_INBOX.a.1", b'{"stream":"T"}'))])
    for row in (request, reply):
        assert (row.trace_id, row.parent_id, row.sampled) == (TRACE, PARENT, True)
        assert (row.op_id, row.budget_ms, row.digest) == ("run/7", 1500.0, "m-1")
    assert (request.signature, request.nbytes) == ("PUB tasks.run", len(sent))


def test_redelivery_keeps_its_count_through_folding() -> None:
    """How often a message was delivered stands at the delivery and at its acknowledgement, which has the delivery's trace."""
    reply = ACK.format(3)
    delivery, ack = run([("<", msg("tasks.a", b"x", reply, TRACED)), (">", pub(reply, b"+ACK"))])
    assert (delivery.deliveries, ack.deliveries) == (3, 3)
    assert (delivery.sampled, ack.trace_id, ack.status) == (False, TRACE, "+ACK")


def test_the_same_payload_has_the_same_digest() -> None:
    """Without a message id the payload tells attempts apart, also between publish and delivery."""
    rows = run(
        [
            (">", pub("a", b"x" * 99, "", TRACED) + pub("a", b"y" * 99, "", TRACED)),
            ("<", msg("a", b"x" * 99, "", TRACED)),
        ]
    )
    assert rows[0].digest == rows[2].digest != rows[1].digest
    assert rows[0].digest.endswith(".99")


@pytest.mark.parametrize(
    ("subject", "signature"),
    [
        ("tasks.0af7651916cd43dd8448eb211c80319c.run", "PUB tasks.{id}.run"),
        ("tenant-7.Orders01.v2", "PUB {id}.Orders01.v2"),
        ("_INBOX.Xk3bD9qPXk3bD9qPXk3bD9.1", "PUB _INBOX.{id}"),
        ("$JS.API.CONSUMER.INFO.TASKS.Xk3bD9qP", "PUB $JS.API.CONSUMER.INFO.TASKS.{id}"),
        ("$JS.API.CONSUMER.INFO.TASKS.agent", "PUB $JS.API.CONSUMER.INFO.TASKS.agent"),
        ("$JS.FC.TASKS.agent.x1", "~PUB $JS.FC"),
    ],
)
def test_signatures_fold_what_looks_like_an_identifier(subject: str, signature: str) -> None:
    """Subjects of one kind share a signature; names do not."""
    assert run([(">", pub(subject))])[0].signature in {signature, ""}
    assert subject_signature("PUB", subject.encode()) == signature


def test_acknowledgements_are_shown_to_followers_before_they_leave() -> None:
    """Whoever follows learns of an acknowledgement with its delivery's trace while its record still waits for its bytes to leave."""
    rows: list[tuple[Any, ...]] = []
    seen: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>b", 1, rows.append)
    framer.follow(seen.append)
    framer.feed_reply(msg("tasks.a", b"x", ACK.format(2), TRACED), 1, watched=True)
    for kind in (b"+WPI", b"+ACK"):
        framer.feed_request(pub(ACK.format(2), kind), 2, watched=True)
    shown = [WireRecord(*row) for row in seen if row[1] == "ack"]
    assert [(row.number, row.direction, row.signature, row.status) for row in shown] == [
        (1, ">", "PUB +WPI $JS.ACK.TASKS.agent", "+WPI"),
        (1, ">", "PUB $JS.ACK.TASKS.agent", "+ACK"),
    ]
    assert [(row.trace_id, row.deliveries) for row in shown] == [(TRACE, 2)] * 2
    assert [row[1] for row in rows] == ["request"]


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("_INBOX.a.*", "_INBOX.a.1", True),
        ("_INBOX.a.*", "_INBOX.a.1.2", False),
        ("_INBOX.a.>", "_INBOX.a.1.2", True),
        ("_INBOX.a.>", "_INBOX.a", False),
        (">", "a", True),
        ("*.b", "a.b", True),
        ("a.b", "a.b", True),
        ("a", "a.b", False),
    ],
)
def test_the_subscription_that_covers_a_subject_is_known(pattern: str, subject: str, covered: bool) -> None:
    """Until it is given up; the last one of a sid counts."""
    assert covers(pattern.encode(), subject.encode()) is covered
    framer = NatsFramer("a>b", 1, lambda _: None)
    framer.feed_request(b"SUB other 1\r\nSUB %b group 7\r\n" % pattern.encode(), 0)
    assert framer.subscription(subject.encode()) == (b"7" if covered else None)
    framer.feed_request(b"UNSUB 7 1\r\n", 0)
    assert framer.subscription(subject.encode()) == (b"7" if covered else None)
    framer.feed_request(b"UNSUB 7\r\n", 0)
    assert framer.subscription(subject.encode()) is None


def test_credentials_are_never_recorded() -> None:
    """CONNECT is known by the connection's id at the server only."""
    (record,) = run([("<", INFO), (">", CONNECT)])
    assert record.digest == "cid=42"
    assert "canary" not in repr(record)


EVERYTHING = [
    step
    for name, (steps, _) in SHAPES.items()
    if name not in {"cut-inside", "tls", "websocket", "bad-size", "huge-size", "headers-longer-than-all"}
    for step in steps
] + [(">", pub("a.b", b"p" * 300, "_INBOX.z.1", HEADERS)), ("<", msg("_INBOX.z.1", b"r" * 400, "", TRACED))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_split_gives_the_same_records(size: int) -> None:
    """Bytes that come one at a time are framed as those that come at once."""
    pieces = [(way, data[at : at + size]) for way, data in EVERYTHING for at in range(0, len(data), size)]
    assert run(pieces) == run(EVERYTHING)


@pytest.mark.parametrize("size", [1, 2, 5, 13, 1000])
def test_connect_urls_are_emptied_and_said_so(size: int) -> None:
    """INFO stays as long and as valid as it was, shows no way round the proxy, and all other bytes pass as they are."""
    urls = ["10.0.0.1:4222", "[::1]:4222", 'odd"]\\']
    info = {"client_id": 7, "connect_urls": urls, "x": [1], "ws_connect_urls": ["h:80"], "domain": "connect_urls"}
    stream = b"PING\r\nINFO " + json.dumps(info).encode() + b"\r\n" + msg("a", b'INFO {"connect_urls":["kept"]}')
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>nats", 1, rows.append)
    out = b"".join(framer.feed_reply(stream[at : at + size], 0) for at in range(0, len(stream), size))
    assert len(out) == len(stream)
    told, rest = out[len(b"PING\r\nINFO ") :].split(b"\r\n", 1)
    assert json.loads(told) == info | {"connect_urls": [], "ws_connect_urls": []}
    assert stream.endswith(rest)
    rewrite = WireRecord(*rows[0])
    assert (rewrite.kind, rewrite.signature, rewrite.status) == ("rewrite", "INFO", "connect_urls emptied")


@given(st.lists(st.tuples(st.sampled_from("><"), st.sampled_from([
    pub("a"), pub("a", b"x", "r"), pub("r", b"y"), msg("a"), msg("r", b"z"), msg("a", b"x", "s"), pub("s"), INFO, CONNECT,
    b"PING\r\n", b"+OK\r\n", b"-ERR 'x'\r\n", pub("a", b"x", "r", HEADERS), msg("r", b"", "", STATUS_503), b"\r\n", b"PUB",
    b" a 3\r\n", b"abc\r\n", pub(ACK.format(1)), msg("b", b"x", ACK.format(1)), b"SUB a 1\r\n", b"INF", b'O {"connect_urls":["',
    b"HPUB a 3 5\r\nabcde\r\n", pub("$JS.ACK"), pub("$JS.ACK.", b"+NAK"), b"UNSUB 1\r\n", b"PUB a 1_0\r\n",
])), max_size=30))  # fmt: skip
@settings(max_examples=200)
def test_no_order_of_messages_raises(steps: list[Step]) -> None:
    """Whatever comes when, every record is well formed and every answer has its request."""
    records = run(steps)
    asked = {row.number for row in records if row.kind == "request"}
    assert {row.number for row in records if row.kind == "reply" and row.number} <= asked


@given(st.lists(st.tuples(st.sampled_from("><"), st.binary(max_size=60)), max_size=10))
@settings(max_examples=200)
def test_no_bytes_raise(steps: list[Step]) -> None:
    """Noise is passed over or told as raw."""
    run(steps)


def test_memory_is_bounded() -> None:
    """Neither lines without end nor requests without answers are kept."""
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>b", 1, rows.append)
    for index in range(3_000):
        framer.feed_request(pub("a", b"", f"_INBOX.{index}"), 0)
    assert sum(WireRecord(*row).status == "unanswered" for row in rows) == 3_000 - 1_024
    framer.feed_reply(b"INFO {" + b" " * 200_000, 0)
    assert len(framer.down.carry) == 0
    framer.feed_request(b"PUB " + b"a" * 40_000, 0)
    assert framer.raw


def test_faults_land_on_the_messages_whose_bytes_they_touched() -> None:
    """A message without an answer is told again once a fault acted on it; one with an answer has it in its reply."""
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>b", 1, rows.append)
    data = pub("a") + pub("b", b"", "r")
    framer.feed_request(data, 1, watched=True)
    framer.mark(">", ("slow",))
    assert not framer.passed(">", len(data), 2)
    framer.feed_request(pub("c"), 3, watched=True)
    framer.passed(">", len(pub("c")), 3)
    answer = msg("r")
    framer.feed_reply(answer, 4, watched=True)
    framer.mark("<", ("gone",))
    framer.end(6, ("cut",))
    replies = [WireRecord(*row) for row in rows if row[1] == "reply"]
    assert [(row.signature, row.faults, row.status) for row in replies] == [
        ("PUB a", ("slow",), "none"),
        ("PUB b", ("slow", "gone", "cut"), "aborted"),
    ]
    assert [row[6] for row in rows if row[1] == "request"] == ["PUB a", "PUB b", "PUB c"]


def test_a_cut_hits_only_what_was_in_flight() -> None:
    """A request that nobody answered for long was given up before the cut."""
    rows: list[tuple[Any, ...]] = []
    framer = NatsFramer("a>b", 1, rows.append)
    framer.feed_request(pub("old", b"", "r1"), 0)
    framer.feed_request(pub("new", b"", "r2"), 15_000_000_000)
    framer.end(16_000_000_000, ("cut",))
    assert [(row[6], row[8], row[9]) for row in rows if row[1] == "reply"] == [
        ("PUB old", (), "unanswered"),
        ("PUB new", ("cut",), "aborted"),
    ]
