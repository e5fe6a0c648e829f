"""HTTP streams cut into turns, pieces and items: the same at every split, nothing lost, nothing made up."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos.proxy.message.http_dialect import HttpDialect
from chaos.proxy.message.http_items import BLOCK_BYTES
from chaos.proxy.message.turn import Answer, Part
from chaos.wire import Http1Framer
from tests.proxy.http_streams import (
    PLAIN,
    Exchange,
    Seen,
    chunked,
    exchanges,
    get,
    of_chunks,
    ok,
    parts,
    post,
    seen,
    stream,
)

streams = st.lists(exchanges, min_size=1, max_size=5)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


def both(talk: list[Exchange]) -> tuple[bytes, bytes]:
    """All requests, all responses."""
    return b"".join(one.request for one in talk), b"".join(one.response for one in talk)


@given(streams, cuts, cuts)
def test_every_split_gives_the_same(talk: list[Exchange], up: list[int], down: list[int]) -> None:
    """Bytes, turns, items and marks; and the bytes are those that were fed."""
    requests, responses = both(talk)
    whole = seen([requests], [responses])
    assert whole.out == {">": requests, "<": responses}
    assert seen(parts(requests, up), parts(responses, down)).same() == whole.same()


@pytest.mark.parametrize("exchange", [*PLAIN, of_chunks([b"a", b"bc" * 20])], ids=range(len(PLAIN) + 1))
def test_byte_by_byte_too(exchange: Exchange) -> None:
    """The smallest parts there are."""
    requests, responses = both([exchange, exchange])
    whole = seen([requests], [responses])
    single = seen([bytes([byte]) for byte in requests], [bytes([byte]) for byte in responses])
    assert single.same() == whole.same()


@given(streams, cuts, cuts)
def test_turns_are_the_exchanges_of_the_framer(talk: list[Exchange], up: list[int], down: list[int]) -> None:
    """As many, each with the bytes that the exchange has, begun and ended where it begins and ends."""
    requests, responses = both(talk)
    told = seen(parts(requests, up), parts(responses, down))
    rows: list[tuple[object, ...]] = []
    framer = Http1Framer("a>b", 1, rows.append)
    framer.feed_request(requests, 0)
    framer.feed_reply(responses, 0)
    assert len(told.turns) == len(talk) == len([row for row in rows if row[1] == "request"])
    at = {">": 0, "<": 0}
    for number, one in enumerate(talk, start=1):
        for direction, data in ((">", one.request), ("<", one.response)):
            start, at[direction] = at[direction], at[direction] + len(data)
            interim = data.startswith(b"HTTP/1.1 100") * len(b"HTTP/1.1 100 Continue\r\n\r\n")
            turns = [turn for turn, *_ in told.bytes[direction][start : at[direction]]]
            assert turns == [0] * interim + [number] * (len(data) - interim)
            last = Part.LAST if direction == ">" else Part.DONE
            assert (direction, number, at[direction], last) in told.marks


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), cuts)
def test_each_chunk_is_an_item(chunks: list[bytes], down: list[int]) -> None:
    """From its size line to the end of its last line; the end of the body is none."""
    exchange = of_chunks(chunks)
    told = seen([exchange.request], parts(exchange.response, down))
    begins = sorted(offset for _, _, offset, mark in told.marks if mark == Part.ITEM)
    ends = sorted(offset for _, _, offset, mark in told.marks if mark == Part.ENDS)
    assert list(zip(begins, ends, strict=True)) == list(exchange.items)
    for number, (start, stop) in enumerate(exchange.items, start=1):
        assert {item for _, item, *_ in told.bytes["<"][start:stop]} == {number}
    assert {item for _, item, *_ in told.bytes["<"][exchange.items[-1][1] :]} == {0}


events = st.lists(
    st.tuples(st.sampled_from([b"data: a", b": still there", b"event: x\ndata: {}", b"data: 1\r\ndata: 2"]),
              st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n\n"])),
    min_size=1, max_size=6,
)  # fmt: skip


@given(events, cuts, cuts, st.booleans())
@example([(b"data: a", b"\r\n\r\n"), (b"data: a", b"\n\n")], [9, 10], [], True)
def test_each_event_is_an_item(
    told: list[tuple[bytes, bytes]], chunks: list[int], down: list[int], chunk: bool
) -> None:
    """However the stream is cut into chunks and parts: an event ends behind its blank line, the next one begins there."""
    body = b"".join(text + end for text, end in told)
    if chunk:
        response = stream(*parts(body, chunks), kind="text/event-stream; charset=utf-8")
    else:
        response = ok(body, "Content-Type: text/event-stream\r\n")
    one = seen([get()], parts(response, down))
    content = [item for _, item, payload, _ in one.bytes["<"] if payload]
    assert content == [number for number, (text, end) in enumerate(told, start=1) for _ in text + end]
    ends = [mark for mark in one.marks if mark[3] == Part.ENDS]
    assert len(ends) == len(told)


def test_an_event_begins_with_the_chunk_that_begins_with_it() -> None:
    """A size line in front of an event is of that event, one in its midst is, too."""
    response = stream(b"data: 1\n\n", b"data: ", b"2\n\n", kind="text/event-stream")
    one = seen([get()], [response])
    start = response.index(b"\r\n\r\n") + 4
    second = response.index(b"6\r\n")
    assert {item for _, item, *_ in one.bytes["<"][start:second]} == {1}
    assert ("<", 1, second, Part.ITEM) in one.marks
    assert {item for _, item, *_ in one.bytes["<"][second:]} == {2}


def test_a_body_without_chunks_has_blocks() -> None:
    """Of 16 KiB each, the last one shorter."""
    response = ok(bytes(2 * BLOCK_BYTES + 5))
    head = len(response) - 2 * BLOCK_BYTES - 5
    one = seen([get()], [response])
    begins = sorted(offset - head for _, _, offset, mark in one.marks if mark == Part.ITEM)
    assert begins == [0, BLOCK_BYTES, 2 * BLOCK_BYTES]


def test_a_response_without_a_length_is_over_with_the_stream() -> None:
    """An empty piece tells it; of one that was cut off none does."""
    one = Seen()
    one.feed(">", get())
    one.feed("<", b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
    (last,) = one.dialect.ended("<")
    assert (last.data, last.part) == (b"", Part.REPLY | Part.DONE)
    cut = Seen()
    cut.feed(">", get())
    cut.feed("<", ok(b"half of it")[:-3])
    assert cut.dialect.ended("<") == []


@pytest.mark.parametrize(
    ("request_", "response"),
    [
        (get("/ws", "Upgrade: websocket\r\nConnection: upgrade\r\n"), b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        (b"CONNECT db:5432 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    ids=["upgrade", "connect"],
)
def test_a_tunnel_passes_from_its_answer_on(request_: bytes, response: bytes) -> None:
    """The request and the head of its answer are a turn, and nothing behind them is."""
    one = Seen()
    one.feed(">", request_)
    one.feed("<", response + get())
    one.feed(">", get() + b"\0\x81")
    assert {turn for turn, *_ in one.bytes[">"][: len(request_)]} == {1}
    assert {turn for turn, *_ in one.bytes["<"][: len(response)]} == {1}
    assert {turn for turn, *_ in one.bytes[">"][len(request_) :] + one.bytes["<"][len(response) :]} == {0}
    assert ("<", 1, len(response), Part.DONE) in one.marks


def test_a_tunnel_that_is_refused_leaves_http() -> None:
    """What follows the refusal is the next turn."""
    one = Seen()
    one.feed(">", get("/ws", "Upgrade: websocket\r\n"))
    one.feed("<", ok(b"no"))
    one.feed(">", get("/next"))
    assert len(one.turns) == 2


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nA b\r\n\r\n"]
)
def test_what_is_no_http_is_of_no_turn(raw: bytes) -> None:
    """It passes at once."""
    one = Seen()
    one.feed(">", raw)
    one.feed(">", get())
    one.feed("<", raw)
    assert one.out == {">": raw + get(), "<": raw}
    assert {turn for turn, *_ in one.bytes[">"] + one.bytes["<"]} == {0}


def test_a_body_that_cannot_be_cut_stays_with_its_turn() -> None:
    """What withholds the rest of a message must not be passed by: it goes on as this turn's, which has no end."""
    one = Seen()
    one.feed(">", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n")
    one.feed(">", b"more")
    one.feed("<", stream(b"abc")[:-5] + b"no size\r\n")
    one.feed("<", b"more")
    one.end()
    assert {turn for turn, *_ in one.bytes[">"] + one.bytes["<"]} == {1}
    assert not {mark for *_, mark in one.marks} & {Part.LAST, Part.DONE}


shreds = [
    get(),
    post(b"x"),
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 101 X\r\n\r\n",
    b"HTTP/1.1 100 X\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"ffffffffffff\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"\n",
]
steps_ = st.lists(
    st.tuples(st.sampled_from("><"), st.one_of(st.binary(max_size=60), st.sampled_from(shreds))), max_size=30
)


@given(steps_)
@settings(max_examples=400)
def test_garbage_never_raises_and_passes_as_it_is(steps: list[tuple[str, bytes]]) -> None:
    """Whatever comes in whatever order."""
    one = Seen()
    fed = {">": b"", "<": b""}
    for direction, data in steps:
        one.feed(direction, data)
        fed[direction] += data
        assert len(one.out[direction]) + one.dialect.kept(direction) == len(fed[direction])
    assert one.end().out == fed


@pytest.mark.parametrize(
    "endless", [b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, b"\r\n" * 70_000], ids=["head", "lines"]
)
def test_what_is_kept_is_bounded(endless: bytes) -> None:
    """A head that has no end is none."""
    one = Seen()
    most = 0
    for data in parts(endless, list(range(0, len(endless), 4096))):
        one.feed(">", data)
        most = max(most, one.dialect.kept(">"))
    assert most <= 65_536 + 4096
    assert one.dialect.kept(">") == 0


def test_what_is_kept_can_be_given_up() -> None:
    """The director leaves in the midst of a head and of a size line."""
    dialect = HttpDialect()
    assert dialect.asked(get()[:10]) == []
    assert (dialect.kept(">"), dialect.give_up(">"), dialect.kept(">")) == (10, get()[:10], 0)
    dialect.asked(get())
    dialect.answered(stream(b"abc").removesuffix(b"0\r\n\r\n") + b"1")
    assert dialect.give_up("<") == b"1"


# What is said in the callee's place.


def first_turn(request: bytes) -> tuple[HttpDialect, object]:
    """A cutter with one turn open."""
    dialect = HttpDialect()
    return dialect, dialect.asked(request)[0].turn


def refused(request: bytes, **answer: object) -> tuple[bytes, dict[str, str], bytes, bool]:
    """Status line, headers and body of a refusal, and whether it ends the connection."""
    dialect, turn = first_turn(request)
    forged = dialect.refusal(turn, Answer(**{"code": "429", **answer}), done=False)  # type: ignore[arg-type]
    head, _, body = forged.to_asker.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, dict(field.decode().split(": ", 1) for field in fields), body, forged.closes


def test_a_refusal_is_a_response_with_a_problem() -> None:
    """Status, media type, a length that is right, and a body that says why; the connection stays."""
    line, headers, body, closes = refused(get(), text="fault x")
    assert line == b"HTTP/1.1 429 Too Many Requests"
    assert headers == {"Content-Type": "application/json", "Content-Length": str(len(body))}
    assert json.loads(body) == {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "fault x"}
    assert not closes


def test_retry_after_is_in_whole_seconds() -> None:
    """Never sooner than asked."""
    assert refused(get(), retry_after_ms=1)[1]["Retry-After"] == "1"
    assert refused(get(), retry_after_ms=2000)[1]["Retry-After"] == "2"
    assert refused(get(), retry_after_ms=2001)[1]["Retry-After"] == "3"


def test_a_status_without_a_name_has_one() -> None:
    """A reason phrase may be anything."""
    assert refused(get(), code="499")[0] == b"HTTP/1.1 499 Error"


@pytest.mark.parametrize(
    ("request_", "connection"),
    [
        (get("/", "Connection: close\r\n"), "close"),
        (get("/", "Connection: Keep-Alive\r\n"), None),
        (get().replace(b"HTTP/1.1", b"HTTP/1.0"), "close"),
        (get("/", "connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), "keep-alive"),
        (post(b"x", headers="Expect: 100-continue\r\n")[:-1], "close"),
    ],
    ids=["close", "keep-alive", "1.0", "1.0 keep-alive", "100-continue"],
)
def test_a_refusal_ends_the_connection_where_the_request_says_so(request_: bytes, connection: str | None) -> None:
    """And where a body may come or not."""
    _, headers, _, closes = refused(request_)
    assert headers.get("Connection") == connection
    assert closes == (connection == "close")


def test_a_refusal_of_head_has_no_body() -> None:
    """Its length is that of the body that GET would have had."""
    _, headers, body, _ = refused(get().replace(b"GET", b"HEAD"))
    assert body == b""
    assert int(headers["Content-Length"]) > 50


def test_the_next_answer_is_not_taken_for_that_of_a_refused_turn() -> None:
    """Nor for that of one that was forgotten; what was answered stays so."""
    dialect, turn = first_turn(get("/one") + get("/two"))
    (_, second) = dialect.asked(get("/three"))[0].turn, None
    dialect.refusal(turn, Answer(code="500"), done=False)  # type: ignore[arg-type]
    piece = dialect.answered(ok(b""))[0]
    assert piece.turn is not turn
    assert piece.turn is not second


@given(st.binary(min_size=1, max_size=300))
def test_garbled_content_is_as_long_and_differs(content: bytes) -> None:
    """Line ends stay, every other byte is another one."""
    dialect = HttpDialect()
    dialect.asked(get())
    payload = dialect.answered(ok(content))[-1]
    garbled = dialect.garbled(payload)
    assert len(garbled) == len(content)
    for was, now in zip(content, garbled, strict=True):
        assert (was == now) == (was in b"\r\n")
        assert (was in b"\r\n") == (now in b"\r\n")


def test_chunked_requests_are_cut_too() -> None:
    """Framing is no content; the last line is the end."""
    body = chunked(b"abc", b"de")
    one = Seen()
    one.feed(">", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body + get())
    content = b"".join(one.out[">"][at : at + 1] for at, (_, _, payload, _) in enumerate(one.bytes[">"]) if payload)
    assert content == b"abcde"
    assert len(one.turns) == 2
