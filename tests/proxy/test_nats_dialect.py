"""NATS as turns: whatever its pieces, the same messages are cut, nothing is lost, and each is one that the framer names."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import msgspec
import nats
import nats.errors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.js.api import ConsumerConfig

from chaos.proxy.message.nats_answers import understood
from chaos.proxy.message.nats_dialect import NatsDialect
from chaos.proxy.message.nats_lane import MOST_BYTES
from chaos.proxy.message.turn import Answer, Part, Piece
from chaos.system import NatsServer
from chaos.system.ports import Address
from chaos.wire import NatsFramer
from tests.proxy.nats_turns import Seated
from tests.wire.conftest import open_tee
from tests.wire.nats_messages import Step, msg, pub

PULL = "$JS.API.CONSUMER.MSG.NEXT.S.w"
ACK = "$JS.ACK.TASKS.agent.{}.7.9.1700000000000000000.3"
HEADERS = b"NATS/1.0\r\nNats-Msg-Id: m-1\r\n\r\n"
NEXT = "$JS.API.CONSUMER.MSG.NEXT.TASKS.agent"
IDLE = b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"
TIMED_OUT = b"NATS/1.0 408 Request Timeout\r\n\r\n"
INFO = b'INFO {"client_id":42,"connect_urls":["10.0.0.1:4222","[::1]:4222"]} \r\n'
WHOLE, ANSWER = "first last", "reply done"

SHAPES: dict[str, tuple[list[Step], list[tuple[str, str, str]]]] = {
    "begin": (
        [("<", INFO), (">", b"CONNECT {}\r\nPING\r\n"), ("<", b"PONG\r\n+OK\r\n"), (">", b"SUB a.b q 1\r\n\r\nUNSUB 1\r\n")],
        [(">", WHOLE, "CONNECT"), (">", WHOLE, "SUB a.b"), (">", WHOLE, "UNSUB a.b")],
    ),
    "publish": (
        [(">", pub("a", b"PUB x 1\r\n") + pub("b") + b"pub c 1\r\ny\r\n")],
        [(">", f"{WHOLE} payload", "PUB a"), (">", WHOLE, "PUB b"), (">", f"{WHOLE} payload", "PUB c")],
    ),
    "request": (
        [(">", pub("rpc", b"1", "_INBOX.a.1", HEADERS)), ("<", msg("_INBOX.a.1", b"2") + msg("_INBOX.a.1", b"3"))],
        [(">", f"{WHOLE} payload", "PUB rpc"), ("<", f"{ANSWER} payload", "PUB rpc")],
    ),
    "serve": (
        [("<", msg("rpc", b"", "in")), (">", pub("in", b"", "", b"NATS/1.0 503\r\n\r\n"))],
        [("<", WHOLE, "MSG rpc"), (">", ANSWER, "MSG rpc")],
    ),
    "deliver-and-ack": (
        [("<", msg("tasks", b"", ACK.format(1))), (">", pub(ACK.format(1), b"+WPI") + pub(ACK.format(1), b"+ACK", "_INBOX.a.2")),
         ("<", msg("_INBOX.a.2"))],
        [
            ("<", WHOLE, "MSG tasks"),
            (">", f"{WHOLE} payload", "PUB +WPI $JS.ACK.TASKS.agent"),
            (">", f"{WHOLE} {ANSWER} payload", "PUB $JS.ACK.TASKS.agent answers MSG tasks"),
            ("<", ANSWER, "PUB $JS.ACK.TASKS.agent"),
        ],
    ),
    "other-acks": (
        [("<", msg("a", b"", ACK.format(1)) + msg("b", b"", ACK.format(2))),
         (">", pub(ACK.format(2), b'-NAK {"delay": 5}') + pub(ACK.format(1)) + pub(ACK.format(3), b"+TERM why"))],
        [
            ("<", WHOLE, "MSG a"),
            ("<", WHOLE, "MSG b"),
            (">", f"{WHOLE} {ANSWER} payload", "PUB -NAK $JS.ACK.TASKS.agent answers MSG b"),
            (">", f"{WHOLE} {ANSWER}", "PUB $JS.ACK.TASKS.agent answers MSG a"),
            (">", f"{WHOLE} payload", "PUB +TERM $JS.ACK.TASKS.agent"),
        ],
    ),
    "pull": (
        [(">", pub(NEXT, b"2", "_INBOX.p")), ("<", msg("tasks", b"", ACK.format(1)) + msg("_INBOX.p", b"", "", IDLE)),
         ("<", msg("_INBOX.p", b"", "", TIMED_OUT))],
        [(">", f"{WHOLE} payload", f"PUB {NEXT}"), ("<", WHOLE, "MSG tasks"), ("<", ANSWER, f"PUB {NEXT}")],
    ),
    "flow-control": (
        [("<", msg("deliver", b"", "$JS.FC.S.c.1", b"NATS/1.0 100 FlowControl Request\r\n\r\n")), (">", pub("$JS.FC.S.c.1"))],
        [],
    ),
    "inbox-used-again": (
        [(">", pub("a", b"", "in") + pub("b", b"", "in")), ("<", msg("in"))],
        [(">", WHOLE, "PUB a"), (">", WHOLE, "PUB b"), ("<", ANSWER, "PUB b")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 30])
def test_each_shape_of_a_conversation(shape: str, size: int) -> None:
    """Every way of the protocol gives the turns it should, whatever the pieces; no byte is lost."""
    steps, expected = SHAPES[shape]
    seated = Seated().run(steps, size)
    assert seated.turns() == expected
    for direction in "><":
        assert seated.joined(direction) == b"".join(data for way, data in steps if way == direction)


WORDS = {
    ">": [
        pub("a"), pub("a", b"x", "_INBOX.r"), pub("r.s", b"y"), pub("a", b"xyz", "_INBOX.q", HEADERS), pub("$JS.FC.S.c", b""),
        pub(ACK.format(1), b"+ACK"), pub(ACK.format(2), b"+WPI"), pub(ACK.format(1), b"-NAK", "_INBOX.r"), b"CONNECT {}\r\n",
        pub(NEXT, b"{}", "_INBOX.p"), b"PING\r\n", b"\r\n", b"SUB _INBOX.* 1\r\n", b"unsub 1 3\r\n", b"PONG\r\n", pub("_INBOX.s", b"r"),
    ],
    "<": [
        msg("a"), msg("_INBOX.r", b"z"), msg("_INBOX.q", b"", "", b"NATS/1.0 503\r\n\r\n"), msg("b", b"x", ACK.format(1), HEADERS),
        msg("b", b"x", ACK.format(2)), msg("c", b"x", "_INBOX.s"), msg("_INBOX.p", b"", "", TIMED_OUT), b"+OK\r\n", b"-ERR 'x'\r\n",
        msg("_INBOX.p", b"", "", IDLE), INFO, b"PING\r\n", msg("_INBOX.r", b"PUB x 9\r\n", "more"), b"msg d 1 2\r\n\r\n\r\n",
    ],
}  # fmt: skip
TALK = st.lists(
    st.sampled_from("><").flatmap(lambda way: st.tuples(st.just(way), st.sampled_from(WORDS[way]))), max_size=25
)


@given(TALK, st.integers(1, 40))
@settings(max_examples=300)
def test_any_split_gives_the_same_turns(steps: list[Step], size: int) -> None:
    """Pieces joined are what came, and it does not matter in which chunks it came."""
    split, whole = Seated().run(steps, size), Seated().run(steps)
    assert split.turns() == whole.turns()
    for direction in "><":
        assert split.joined(direction) == b"".join(data for way, data in steps if way == direction)
        assert split.dialect.kept(direction) == 0


@given(TALK, st.integers(1, 40))
@settings(max_examples=300)
def test_each_turn_is_named_by_the_framer(steps: list[Step], size: int) -> None:
    """Exactly the piece that begins a turn makes the framer name a message; the answers are those the framer takes for answers."""
    seated = Seated().run(steps, size)
    for (_, piece), names in zip(seated.pieces, seated.names, strict=True):
        assert len(names) == (Part.FIRST in piece.part), piece


NOISE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([word for words in WORDS.values() for word in words]),
    st.sampled_from(
        [
            b"PUB",
            b" a 3\r\n",
            b"abc\r\n",
            b"INF",
            b"PUB a -1\r\n",
            b"MSG a 1 9999999999\r\n",
            b"HPUB a 9 8\r\n",
            b"\x16\x03",
        ]
    ),
)


@given(st.lists(st.tuples(st.sampled_from("><"), NOISE), max_size=20))
@settings(max_examples=400)
def test_noise_passes_byte_for_byte(steps: list[Step]) -> None:
    """Nothing raises; what cannot be cut is neither kept nor changed, in either direction."""
    seated = Seated().run(steps)
    raw = any(lane.raw for lane in seated.dialect._lanes.values())
    for direction in "><":
        if raw:
            seated.feed(direction, b"more")
            assert seated.dialect.kept(direction) == 0
        more = b"more" if raw else b""
        assert seated.joined(direction) == b"".join(data for way, data in steps if way == direction) + more


@given(TALK, st.integers(1, 40))
@settings(max_examples=100)
def test_addresses_in_info_are_gone_whether_it_is_cut_or_not(steps: list[Step], size: int) -> None:
    """The framer changes piece by piece what it would have changed without a dialect before it."""
    seated, alone = Seated().run(steps, size), NatsFramer("a>nats", 1, lambda _: None)
    expected = b"".join(alone.feed_reply(data, 0) for way, data in steps if way == "<")
    assert seated.out["<"] == expected
    assert b"10.0.0.1" not in expected


@pytest.mark.parametrize("size", [1000, 65_536, 1 << 30])
def test_what_is_too_long_is_not_kept_back(size: int) -> None:
    """A message beyond the bound passes as it comes: without a turn, or as an answer in pieces. One at the bound is whole."""
    for length, parts in ((MOST_BYTES - 100, ["first last payload"]), (MOST_BYTES, [])):
        seated = Seated().run([(">", pub("big", b"x" * length) + pub("next"))], size)
        assert [part for _, part, name in seated.turns() if name == "PUB big"] == parts
        assert seated.turns()[-1] == (">", "first last", "PUB next")
    seated = Seated().run([(">", pub("get", b"", "_INBOX.r")), ("<", msg("_INBOX.r", b"y" * MOST_BYTES))], 65_536)
    told = [part for _, part, _ in seated.turns()]
    assert told[0] == "first last"
    assert set(told[1:-1]) == {"reply"}
    assert told[-1] == "reply done"


def test_memory_is_bounded() -> None:
    """Neither lines without end nor turns without answers nor halves of messages are kept."""
    seated = Seated()
    for index in range(3_000):
        seated.feed(">", pub("a", b"", f"_INBOX.{index}"))
    assert repr(seated.dialect) == "<NatsDialect cutting open >1024 <0>"
    seated.feed("<", b"INFO {" + b" " * 200_000)
    assert seated.dialect.kept("<") == 0
    seated.feed(">", b"PUB a 1048576\r\n" + b"x" * 1_000_000)
    assert 1_000_000 < seated.dialect.kept(">") <= MOST_BYTES
    seated = Seated()
    seated.feed(">", b"PUB " + b"a" * 40_000)
    assert seated.dialect.kept(">") == 0
    assert "raw" in repr(seated.dialect)


@pytest.mark.parametrize("headers", [b"", HEADERS])
@given(
    payload=st.one_of(st.binary(min_size=1, max_size=80), st.sampled_from([b"1", b'{"stream":"T"}', b"[]", b"\x01"]))
)
@settings(max_examples=50)
def test_a_garbled_payload_is_as_long_and_unreadable(headers: bytes, payload: bytes) -> None:
    """Line and headers stay as they were, so that it is framed as before; JSON and MessagePack are neither."""
    for direction, data in ((">", pub("a.b", payload, "r", headers)), ("<", msg("a.b", payload, "", headers))):
        dialect = NatsDialect(lambda _: None)
        (piece,) = dialect.asked(data) if direction == ">" else dialect.answered(data)
        garbled = dialect.garbled(piece)
        assert len(garbled) == len(data)
        at = len(data) - 2 - len(payload)
        assert (garbled[:at], garbled[-2:]) == (data[:at], data[-2:])
        for decode in (json.loads, msgspec.json.decode, msgspec.msgpack.decode):
            with pytest.raises(ValueError, match=r"."):
                decode(garbled[at:-2])


STARTED = b"CONNECT {}\r\nSUB _INBOX.x.* 3\r\n"


def refused(asked: Step, code: str, text: str = "") -> tuple[bytes, bool]:
    """What the asker is told, and whether the connection ends behind it."""
    seated = Seated().run([(">", STARTED), asked])
    piece = next(piece for way, piece in reversed(seated.pieces) if way == asked[0])
    assert piece.turn is not None
    forged = seated.dialect.refusal(piece.turn, Answer(code=code, text=text), done=False)
    assert forged.to_callee == b""
    return forged.to_asker, forged.closes


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        (
            (">", pub("rpc", b"", "_INBOX.x.1")),
            "no-responders",
            b"HMSG _INBOX.x.1 3 35 35\r\nNATS/1.0 503\r\nNats-Subject: rpc\r\n\r\n\r\n",
        ),
        (
            (">", pub("s.1", b"x", "_INBOX.x.1", HEADERS)),
            "js-503-10077",
            b'MSG _INBOX.x.1 3 74\r\n{"error": {"code": 503, "err_code": 10077, "description": "store failed"}}\r\n',
        ),
        (
            (">", pub(PULL, b"1", "_INBOX.x.1")),
            "js-409-10077",
            b"HMSG _INBOX.x.1 3 29 29\r\nNATS/1.0 409 store failed\r\n\r\n\r\n",
        ),
        (
            (">", pub(PULL, b"1", "_INBOX.x.1")),
            "no-responders",
            b"HMSG _INBOX.x.1 3 61 61\r\nNATS/1.0 503\r\nNats-Subject: $JS.API.CONSUMER.MSG.NEXT.S.w\r\n\r\n\r\n",
        ),
        ((">", pub("rpc", b"", "elsewhere")), "no-responders", b""),
        ((">", pub("rpc")), "-ERR 'Maximum Payload Violation'", b"-ERR 'Maximum Payload Violation'\r\n"),
        ((">", pub("rpc")), "no-responders", b"-ERR 'No Responders'\r\n"),
        ((">", b"SUB a 1\r\n"), "-ERR", b"-ERR 'No Responders'\r\n"),
        (("<", msg("rpc", b"", "in")), "no-responders", b"HPUB in 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"),
        (("<", msg("rpc", b"", ACK.format(1))), "no-responders", b"PUB " + ACK.format(1).encode() + b" 4\r\n-NAK\r\n"),
        (("<", msg("rpc")), "no-responders", b""),
    ],
)
def test_refusals_are_what_the_asker_would_hear(asked: Step, code: str, told: bytes) -> None:
    """To the inbox under the subscription that covers it; a delivery is refused to who sent it; -ERR where there is no inbox."""
    assert understood(code)
    assert refused(asked, code, "store failed" if code.startswith("js") else "")[0] == told


@pytest.mark.parametrize(
    ("text", "closes"), [("Permissions Violation for Publish to x", False), ("Stale Connection", True)]
)
def test_an_error_of_the_server_ends_the_connection_where_the_server_does(text: str, closes: bool) -> None:
    """Violations of permissions leave it open; line breaks in the text cannot break the framing."""
    assert refused((">", pub("a")), f"-ERR {text}") == (f"-ERR '{text}'\r\n".encode(), closes)
    assert refused((">", pub("a")), "no-responders", "a\r\nb")[0] == b"-ERR 'a b'\r\n"


@pytest.mark.parametrize("code", ["503", "", "no responders", "js-", "js-50", "-ERROR"])
def test_answers_that_mean_nothing_are_told_apart(code: str) -> None:
    """A fault with such an answer is refused before it does anything."""
    assert not understood(code)


def test_what_was_never_passed_on_is_not_answered() -> None:
    """A turn that is forgotten or refused waits for nothing; one that took its inbox since goes on waiting."""
    dialect = NatsDialect(lambda _: b"1")
    first, second = dialect.asked(pub("a", b"", "in") + pub("b", b"", "in"))
    assert first.turn is not None
    assert second.turn is not None
    dialect.forget(first.turn)
    assert dialect.answered(msg("in"))[0].turn is second.turn
    (third,) = dialect.asked(pub("c", b"", "_INBOX.c"))
    assert third.turn is not None
    dialect.refusal(third.turn, Answer(code="no-responders"), done=False)
    assert dialect.answered(msg("_INBOX.c"))[0].turn is None


def test_it_is_known_where_something_may_be_said() -> None:
    """Not in the midst of INFO or of a message that is not kept back; a message that is kept back has not begun for its receiver."""
    dialect = NatsDialect(lambda _: None)
    amid = []
    for piece in (
        b"INF",
        b"O {",
        b"}\r\n",
        b"MSG a 1 9\r\nx",
        b"x" * 10,
        b"MSG b 1 2000000\r\n",
        b"x" * 2_000_001,
        b"\n",
    ):
        dialect.answered(piece)
        amid.append(dialect.amid("<"))
    assert amid == [False, True, False, False, False, True, True, False]
    assert dialect.ended("<") == []
    assert dialect.answered(b"MSG a 1 9\r\nx") == []
    assert dialect.ended("<") == [Piece(b"MSG a 1 9\r\nx")]


def test_an_acknowledgement_of_a_delivery_before_the_seat_is_a_message_still() -> None:
    """It answers nothing that is known, and can be lost all the same."""
    (piece,) = NatsDialect(lambda _: None).asked(pub(ACK.format(1), b"+ACK"))
    assert piece == Piece(piece.data, piece.turn, Part.FIRST | Part.LAST | Part.PAYLOAD)


async def talk(server: NatsServer, address: Address, name: str) -> None:
    """A client that does a bit of everything."""
    client = await nats.connect(server.url_through(address).reveal(), allow_reconnect=False, connect_timeout=10)
    jetstream = client.jetstream(timeout=10)
    await jetstream.add_stream(name=name, subjects=[f"{name}.>"])
    try:
        with pytest.raises(nats.errors.NoRespondersError):
            await client.request(f"{name.lower()}.nobody", b"x" * 100_000, timeout=10)
        for index in range(3):
            await jetstream.publish(f"{name}.{index}", b"\r\nMSG x 1 9\r\n", headers={"Nats-Msg-Id": f"m{index}"})
        consumer = await jetstream.pull_subscribe(f"{name}.>", durable="agent", config=ConsumerConfig(ack_wait=30))
        first, second, third = await consumer.fetch(3, timeout=10)
        await first.in_progress()
        await first.ack_sync(10)
        await second.nak()
        await third.term()
        (again,) = await consumer.fetch(1, timeout=10)
        await again.ack_sync(10)
        with pytest.raises(nats.errors.TimeoutError):
            await consumer.fetch(1, timeout=0.1)
    finally:
        await jetstream.delete_stream(name)
        await asyncio.wait_for(client.close(), 10)


async def test_real_traffic_is_cut_into_its_turns(nats_server: NatsServer) -> None:
    """JetStream with headers as nats-py speaks it: the same turns in any pieces, each named, each answered by what answers it."""
    name = f"D{uuid4().int % 10**6}x"
    async with open_tee(nats_server.address.host, nats_server.address.port) as tee:
        await talk(nats_server, Address("127.0.0.1", tee.port), name)
    whole = Seated().run(tee.steps)
    told: list[Any] = whole.turns()
    acks = [(part, of) for _, part, of in told if "$JS.ACK" in of]
    ack, delivery = f"$JS.ACK.{name}.agent", f"MSG {name}.{{id}}"
    assert acks == [
        ("first last payload", f"PUB +WPI {ack}"),
        ("first last reply done", f"PUB {ack} answers {delivery}"),
        ("reply done", f"PUB {ack}"),
        ("first last reply done payload", f"PUB -NAK {ack} answers {delivery}"),
        ("first last reply done payload", f"PUB +TERM {ack} answers {delivery}"),
        ("first last reply done", f"PUB {ack} answers {delivery}"),
        ("reply done", f"PUB {ack}"),
    ]
    published = [part for _, part, of in told if of == f"PUB {name}.{{id}}"]
    assert published == ["first last payload", "reply done payload"] * 3
    assert ("<", "reply done", f"PUB {name.lower()}.nobody") in told
    assert ("<", "reply done", f"PUB $JS.API.CONSUMER.MSG.NEXT.{name}.agent") in told
    for size in (1, 7, 1000):
        seated = Seated().run(tee.steps, size)
        assert seated.turns() == told
        assert [seated.joined("<"), seated.joined(">")] == [
            b"".join(data for way, data in tee.steps if way == direction) for direction in "<>"
        ]
