"""HTTP/1.1 framing: what each shape of message is recorded as, whatever its pieces."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.wire_record import WireRecord
from chaos.wire import Http1Framer, http_signature

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
Step = tuple[str, bytes]


def run(steps: list[Step], *, end: bool = True) -> list[WireRecord]:
    """The records of a conversation: `>` and `<` carry bytes, `fin` ends the callee's stream."""
    rows: list[tuple[Any, ...]] = []
    framer = Http1Framer("api>rag", 7, rows.append)
    for direction, data in steps:
        if direction == ">":
            framer.feed_request(data, 5)
        elif direction == "<":
            framer.feed_reply(data, 5)
        else:
            framer.end_reply(5)
    if end:
        framer.end(5)
    return [WireRecord(*row) for row in rows]


def brief(steps: list[Step]) -> list[tuple[str, int, str, str]]:
    """Kind, number, signature and status of each record."""
    return [(row.kind, row.number, row.signature, row.status) for row in run(steps)]


REQUEST = (
    b"POST /v1/documents/42?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    + f"traceparent: 00-{TRACE}-{PARENT}-01\r\nBaggage: a=b, op.id=run%2F7;p=1\r\nX-Budget-Ms: 1500\r\n".encode()
    + b"\r\nhello"
)
REPLY = b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: v\r\n\r\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_request_and_its_reply_carry_what_oracles_need() -> None:
    """Signature, trace, parent, operation, budget, bytes and Retry-After come out of an ordinary exchange."""
    request, reply = run([(">", REQUEST), ("<", REPLY)])
    assert (request.kind, request.number, request.direction, request.link) == ("request", 1, ">", "api>rag")
    assert request.signature == reply.signature == "POST /v1/documents/{id}"
    assert (request.trace_id, request.parent_id, request.sampled) == (TRACE, PARENT, True)
    assert (request.op_id, request.budget_ms, request.nbytes) == ("run/7", 1500.0, len(REQUEST))
    assert (reply.kind, reply.status, reply.retry_after_s, reply.nbytes) == ("reply", "429", 3.0, len(REPLY))
    assert reply.trace_id == TRACE
    assert reply.digest.endswith(".5")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [(">", b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n"), ("<", CHUNKED + REPLY)],
            [
                ("request", 1, "GET /a", ""),
                ("request", 2, "GET /b", ""),
                ("reply", 1, "GET /a", "200"),
                ("reply", 2, "GET /b", "429"),
            ],
        ),
        (
            [(">", b"HEAD /a HTTP/1.1\n\n"), ("<", b"HTTP/1.1 200 OK\nContent-Length: 99\n\nHTTP/1.1 204 No\r\n\r\n")],
            [("request", 1, "HEAD /a", ""), ("reply", 1, "HEAD /a", "200"), ("reply", 0, "", "204")],
        ),
        (
            [
                (">", b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"),
                ("<", b"HTTP/1.1 100 Continue\r\n\r\n"),
                (">", b"1\r\nx\r\n0\r\n\r\n"),
                ("<", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
            ],
            [("request", 1, "PUT /a", ""), ("reply", 1, "PUT /a", "304")],
        ),
        (
            [(">", b"GET /a HTTP/1.0\r\n\r\n"), ("<", b"HTTP/1.0 200 OK\r\n\r\nuntil the end"), ("fin", b"")],
            [("request", 1, "GET /a", ""), ("reply", 1, "GET /a", "200")],
        ),
        (
            [(">", b"GET /a HTTP/1.1\r\n\r\n"), ("<", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal")],
            [("request", 1, "GET /a", ""), ("reply", 1, "GET /a", "aborted")],
        ),
        (
            [
                (">", b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
                ("<", b"HTTP/1.1 101 Switching\r\n\r\n\x81\x00"),
                (">", b"\x81\x01x"),
            ],
            [("request", 1, "GET /ws", ""), ("reply", 1, "GET /ws", "101"), ("raw", 1, "", ""), ("raw", 1, "", "")],
        ),
        (
            [
                (">", b"GET /ws HTTP/1.1\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n\r\n"),
                ("<", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ],
            [
                ("request", 1, "GET /ws", ""),
                ("reply", 1, "GET /ws", "200"),
                ("request", 2, "GET /b", ""),
                ("reply", 2, "GET /b", "aborted"),
            ],
        ),
        (
            [(">", b"CONNECT db:5432 HTTP/1.1\r\n\r\n"), ("<", b"HTTP/1.1 200 OK\r\n\r\n\x00\x01"), (">", b"\x16\x03")],
            [
                ("request", 1, "CONNECT db:5432", ""),
                ("reply", 1, "CONNECT db:5432", "200"),
                ("raw", 1, "", ""),
                ("raw", 1, "", ""),
            ],
        ),
        ([(">", b"\x16\x03\x01\x02\x00"), ("<", b"\x16\x03\x03")], [("raw", 0, "", ""), ("raw", 0, "", "")]),
        ([(">", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")], [("raw", 0, "", "")]),
        ([(">", b"GET /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n")], [("raw", 0, "", "")]),
        (
            [(">", b"GET /a HTTP/1.1\r\n\r\n"), ("<", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
            [("request", 1, "GET /a", ""), ("raw", 1, "", ""), ("reply", 1, "GET /a", "unframed")],
        ),
    ],
    ids=[
        "pipelined",
        "head-bare-lf-unasked",
        "continue",
        "until-close",
        "aborted",
        "upgrade",
        "upgrade-refused",
        "connect",
        "tls",
        "http2",
        "two-lengths",
        "broken-chunk",
    ],
)
def test_each_shape_of_a_conversation(steps: list[Step], expected: list[tuple[str, int, str, str]]) -> None:
    """Every framing rule of RFC 9112 gives the records it should."""
    assert brief(steps) == expected


@pytest.mark.parametrize(
    ("body", "terminal"),
    [
        (b"data: x\n\ndata: [DONE]\n\n", True),
        (b"data: [DONE]\n\n", True),
        (b"data: x\n\n", False),
        (b'data: "data: [DONE]"\n\n', False),
        (b"data: [DONE]x\n\ndata: [DONE]\r\n\r\n", True),
    ],
)
def test_an_event_stream_ends_with_its_marker_or_not(body: bytes, terminal: bool) -> None:
    """Only a line of its own counts as the terminal marker, however the stream is cut into chunks."""
    for size in (1, 2, 5, 100):
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(body[at : at + size]), body[at : at + size]) for at in range(0, len(body), size)
        )
        steps = [(">", b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"), ("<", SSE + chunks + b"0\r\n\r\n")]
        assert run(steps)[-1].terminal is terminal


def test_a_cut_event_stream_is_aborted_without_its_marker() -> None:
    """A stream that ends early is no complete reply and shows no terminal marker."""
    reply = run([(">", b"GET /s HTTP/1.1\r\n\r\n"), ("<", SSE + b"8\r\ndata: x\n\r\n")])[-1]
    assert (reply.status, reply.terminal) == ("aborted", False)


def test_retry_after_as_a_date_counts_from_the_replys_own_date() -> None:
    """No clock is needed for Retry-After dates, leap days included; of whole seconds up to one less may be meant."""
    head = b"HTTP/1.1 503 No\r\nDate: Wed, 28 Feb 2024 23:59:30 GMT\r\nRetry-After: Fri, 01 Mar 2024 00:00:00 GMT\r\n"
    reply = run([(">", b"GET / HTTP/1.1\r\n\r\n"), ("<", head + b"Content-Length: 0\r\n\r\n")])[-1]
    assert reply.retry_after_s == 86_429.0


def test_faults_land_on_the_exchanges_whose_bytes_they_touched() -> None:
    """A fault on one exchange's chunk is not told of its neighbours, and each is named once."""
    rows: list[tuple[Any, ...]] = []
    framer = Http1Framer("l>m", 1, rows.append)
    framer.feed_request(b"GET /a HT", 0, ("slow",))
    framer.feed_request(b"TP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", 0)
    framer.feed_reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", 0, ("late", "slow"))
    framer.feed_reply(b"x", 0, ("late",))
    framer.mark_reply(("held",))
    framer.end(0, ("cut",))
    replies = [WireRecord(*row) for row in rows if row[1] == "reply"]
    assert [(row.signature, row.faults) for row in replies] == [
        ("GET /a", ("slow", "late")),
        ("GET /b", ("held", "cut")),
    ]
    assert framer.raw
    assert framer.open_exchanges == 0


def test_a_fault_on_a_chunk_of_pipelined_requests_is_told_of_each() -> None:
    """What acted on the chunk fed last is told of every request in it, the unfinished one too, and of no earlier one."""
    rows: list[tuple[Any, ...]] = []
    framer = Http1Framer("l>m", 1, rows.append)
    framer.feed_request(b"GET /a HTTP/1.1\r\n\r\n", 0)
    framer.feed_request(b"GET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\nGET /d", 0)
    framer.mark_request(("slow",))
    framer.feed_request(b" HTTP/1.1\r\n\r\n", 0)
    framer.end(0)
    replies = {row[6]: row[8] for row in rows if row[1] == "reply"}
    assert replies == {"GET /a": (), "GET /b": ("slow",), "GET /c": ("slow",), "GET /d": ("slow",)}


def test_retries_share_a_digest_and_others_do_not() -> None:
    """The digest tells bodies apart; an idempotency key takes its place."""

    def digest(body: bytes, extra: bytes = b"") -> str:
        head = b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n" % (len(body), extra)
        return run([(">", head + body), ("<", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")])[-1].digest

    assert digest(b"one") == digest(b"one") != digest(b"two")
    assert digest(b"one", b"Idempotency-Key: k-1\r\n") == "k-1"
    assert digest(b"") == ""


@pytest.mark.parametrize(
    ("target", "signature"),
    [
        (b"/v1/documents", "GET /v1/documents"),
        (b"/v1/documents/17/chunks?q=1", "GET /v1/documents/{id}/chunks"),
        (b"/v1/documents/doc-17", "GET /v1/documents/{id}"),
        (b"/t/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "GET /t/{id}"),
        (b"/t/deadbeef01", "GET /t/{id}"),
        (b"/t/01ARZ3NDEKTSV4RRFFQ69G5FAV/x", "GET /t/{id}/x"),
        (b"http://host:1/v1/chat/completions", "GET /v1/chat/completions"),
        (b"*", "GET *"),
        (b"/v2/added/healthz", "GET /v2/added/healthz"),
    ],
)
def test_routes_fold_what_looks_like_an_identifier(target: bytes, signature: str) -> None:
    """Numbers, UUIDs, hexadecimal and long mixed segments are one route; words and versions stay."""
    assert http_signature(b"GET", target) == signature


CONVERSATIONS: list[tuple[bytes, bytes]] = [
    (REQUEST + b"GET /b HTTP/1.1\n\n" + REQUEST, REPLY + CHUNKED + SSE + b"d\r\ndata: [DONE]\n\r\n0\r\n\r\n"),
    (
        b"\r\nPOST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nrest",
    ),
    (b"GET /a HTTP/1.1\r\n\r\nnonsense here\r\n\r\n", REPLY + b"\x00\x01"),
    (b"GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n\x00\x00", b"HTTP/1.1 101 Switching\r\n\r\n\x00GET"),
]


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes cut at any places."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


@given(data=st.data(), which=st.integers(0, len(CONVERSATIONS) - 1))
def test_any_split_of_a_stream_gives_the_same_records(data: st.DataObject, which: int) -> None:
    """Where chunks begin and end is chance; what was said is not."""
    request, reply = CONVERSATIONS[which]
    whole = run([(">", request), ("<", reply), ("fin", b"")])
    split = [(">", piece) for piece in data.draw(pieces(request))] + [("<", p) for p in data.draw(pieces(reply))]
    assert run([*split, ("fin", b"")]) == whole


ATOMS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Upgrade: x\r\n",
        b"0\r\n",
        b"3\r\nabc\r\n",
        b"HTTP/1.1 101 S\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"abc",
        b"\x00",
        b":",
    ]
)
FUZZ = st.lists(st.tuples(st.sampled_from([">", "<", "fin"]), ATOMS | st.binary(max_size=30)), max_size=30)


@given(steps=FUZZ)
def test_no_bytes_raise_and_every_exchange_ends_once(steps: list[Step]) -> None:
    """Whatever is fed, framing never raises, and each request has exactly one reply record."""
    records = run(steps)
    requests = [row.number for row in records if row.kind == "request"]
    replies = [row.number for row in records if row.kind == "reply" and row.number]
    assert sorted(replies) == sorted(requests)


def test_requests_piled_up_without_replies_are_not_kept_for_ever() -> None:
    """Pipelining against a callee that hangs ends the framing, not the memory; every request seen still has its end."""
    rows: list[tuple[Any, ...]] = []
    framer = Http1Framer("l>m", 1, rows.append)
    for _ in range(3):
        framer.feed_request(b"GET / HTTP/1.1\r\n\r\n" * 2000, 0)
    assert framer.open_exchanges == 4096
    framer.end(0)
    kinds = Counter(row[1] for row in rows)
    assert kinds == {"request": 4096, "reply": 4096, "raw": 1}


def test_endless_heads_and_lines_hold_bounded_memory() -> None:
    """A head or a chunk-size line without end is given up, not kept."""
    rows: list[tuple[Any, ...]] = []
    framer = Http1Framer("l>m", 1, rows.append)
    framer.feed_request(b"GET / HTTP/1.1\r\nX: ", 0)
    for _ in range(3):
        framer.feed_request(b"y" * 60_000, 0)
    framer.feed_reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0)
    framer.feed_reply(b"1" * 60_000, 0)
    assert [row[1] for row in rows] == ["raw", "raw"]
    assert framer.raw
