"""Plain TCP scripts against real servers: lines and bytes, errors, wrong replies, cuts, silence, kept connections."""

from __future__ import annotations

import pytest

from chaos.model.operation import AnswerKind, EffectState, Operation
from tests.workloads.line_server import Peer, Talk, cache, mail, serving_lines
from tests.workloads.plain_rig import flying

CACHE = r"""
- kind: tcp
  to: cache
  rate: 9/s
  operations:
    ping: {script: [{send: 'PING\r\n'}, {expect: +PONG}], errors: {"-LOADING": 503, "/^-/": 500}, degraded: "+STALE"}
    put:
      script:
        - {send: "SET key-{op_id} {nonce}\r\n"}
        - {expect: +OK}
        - {send: "GET key-{op_id}\r\n"}
        - {expect: $22}
        - {expect: "/^{nonce}$/"}
      writes: true
    kept: {script: [{send: 'PING\r\n'}, {expect: +PONG}], keep: true}
    bytes: {script: [{send: hex:50 494e47 0d0a}, {expect: hex:2b504f4e47 0d0a}], errors: {"-": 500}}
"""
MAIL = r"""
- kind: tcp
  to: mail
  rate: 9/s
  operations:
    send:
      script:
        - {until: "220 "}
        - {send: "EHLO drill\r\n"}
        - {until: /^250 /}
        - {send: "MAIL FROM:<a@example>\r\n"}
        - {expect: "250"}
        - {send: "RCPT TO:<b@example>\r\n"}
        - {expect: "250"}
        - {send: "DATA\r\n"}
        - {expect: "354"}
        - {send: "Subject: {op_id}\r\n\r\nhello\r\n.\r\n"}
        - {expect: "/^250 .* queued/"}
      errors: {"/^4/": 503, "/^5/": 500}
      writes: true
    kept:
      script: [{until: "220 "}, {send: "EHLO drill\r\n"}, {until: "250 "}]
      keep: true
"""


async def fly(name: str, talk: Talk, workloads: str = CACHE) -> Operation:
    """One operation with a server that talks like that."""
    to = "cache" if workloads is CACHE else "mail"
    async with serving_lines(talk) as server, flying(workloads, {to: server.url}) as flyer:
        return await flyer.fly(name)


def saying(*replies: str | bytes) -> Talk:
    """A server that answers its n-th line with the n-th reply, and then says nothing."""

    async def talk(peer: Peer) -> None:
        for reply in replies:
            await peer.line()
            await peer.say(reply)
        await peer.reader.read()

    return talk


@pytest.mark.parametrize("name", ["ping", "put", "kept", "bytes"])
async def test_a_cache_answers_as_declared(name: str) -> None:
    """Inline commands, values made from the operation, and raw bytes."""
    operation = await fly(name, cache)
    assert (operation.answer.kind, operation.answer.status, operation.unmet) == (AnswerKind.OK, None, ())
    assert operation.effect is (EffectState.APPLIED if name == "put" else EffectState.READ)
    assert operation.start_ns < operation.first_byte_ns <= operation.end_ns


async def test_a_server_that_speaks_first() -> None:
    """A greeting of several lines, answers of several lines, a body of several lines."""
    operation = await fly("send", mail, MAIL)
    assert (operation.answer.kind, operation.unmet, operation.effect) == (AnswerKind.OK, (), EffectState.APPLIED)


@pytest.mark.parametrize(
    ("name", "reply", "expected", "seen"),
    [
        ("ping", "+PANG\r\n", "+PONG", "+PANG"),
        ("ping", "\r\n", "+PONG", "an empty line"),
        ("ping", b"\xff\xfe+PONG\r\n", "+PONG", "\ufffd\ufffd+PONG"),
        ("bytes", "+PANG\r\n", "2b 50 4f 4e 47 0d 0a", "2b 50 41 4e 47 0d 0a"),
        ("bytes", "-", "2b 50 4f 4e 47 0d 0a", "2d"),
    ],
)
async def test_a_wrong_reply_is_seen_at_once(name: str, reply: str | bytes, expected: str, seen: str) -> None:
    """Nobody waits for the right one: what was expected and what came instead are told."""
    operation = await fly(name, saying(reply))
    if name == "bytes" and reply == "-":
        assert (operation.answer.kind, operation.answer.status) == (AnswerKind.ERROR, 500)
        return
    assert operation.answer.kind is AnswerKind.OK
    assert [(one.check, one.expected, one.seen) for one in operation.unmet] == [("reply", expected, seen)]


async def test_a_value_of_another_operation_is_wrong() -> None:
    """The nonce in the expectation is the operation's own."""
    operation = await fly("put", saying("+OK\r\n", "$22\r\nnonce-0000000000000000\r\n"))
    assert [one.check for one in operation.unmet] == ["reply"]
    assert operation.unmet[0].expected.startswith("/^nonce")


@pytest.mark.parametrize(
    ("reply", "status"), [("-LOADING the dataset\r\n", 503), ("-ERR unknown\r\n", 500), ("-\r\n", 500)]
)
async def test_declared_errors_are_errors(reply: str, status: int) -> None:
    """The first pattern that fits gives the status, the line the detail."""
    operation = await fly("ping", saying(reply))
    answer = operation.answer
    assert (answer.kind, answer.status, answer.detail, answer.layer) == (
        AnswerKind.ERROR,
        status,
        reply.strip(),
        "system",
    )
    assert operation.unmet == ()


async def test_errors_end_a_reading_of_many_lines() -> None:
    """`until` does not read past a line that is a declared error."""

    async def busy(peer: Peer) -> None:
        await peer.say("421 too busy\r\n")
        await peer.reader.read()

    operation = await fly("send", busy, MAIL)
    assert (operation.answer.kind, operation.answer.status) == (AnswerKind.ERROR, 503)


async def test_a_degraded_line_owes_nothing() -> None:
    """The declared mark instead of the reply."""
    operation = await fly("ping", saying("+STALE 3s\r\n"))
    assert (operation.answer.kind, operation.answer.degraded, operation.unmet) == (AnswerKind.OK, True, ())


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (saying("+PO"), None),
        (lambda peer: peer.line(), "closed"),
    ],
)
async def test_a_close_in_the_middle_is_named(talk: Talk, code: str | None) -> None:
    """A connection that ends before the line did is closed; half a line and silence is no answer."""
    slow = CACHE.replace("rate: 9/s", "rate: 9/s\n  deadline: 20ms")
    async with serving_lines(talk) as server, flying(slow, {"cache": server.url}) as flyer:
        operation = await flyer.fly("ping")
    if code is None:
        assert (operation.answer.kind, operation.end_ns) == (AnswerKind.NONE, 0)
    else:
        assert (operation.answer.layer, operation.answer.code) == ("driver", code)


async def test_the_last_line_may_end_with_the_connection() -> None:
    """A reply without a line's end, then the end."""

    async def talk(peer: Peer) -> None:
        await peer.line()
        await peer.say("+PONG")

    assert (await fly("ping", talk)).ok


async def test_a_reset_is_named() -> None:
    """RST while a reply is awaited."""

    async def talk(peer: Peer) -> None:
        await peer.line()
        peer.reset()

    operation = await fly("put", talk)
    assert (operation.answer.code, operation.effect) == ("connection-reset", EffectState.UNKNOWN)


async def test_nobody_there_means_nothing_was_done() -> None:
    """A refused connection proves it."""
    async with serving_lines(cache) as server:
        url = server.url
    async with flying(CACHE, {"cache": url}) as flyer:
        operation = await flyer.fly("put")
    assert (operation.answer.code, operation.effect) == ("connect-refused", EffectState.NOT_APPLIED)


async def test_a_flood_is_given_up() -> None:
    """A line without end is a failure, not a driver without memory."""

    async def talk(peer: Peer) -> None:
        while True:
            await peer.say(b"x" * 100_000)

    operation = await fly("ping", talk)
    assert (operation.answer.code, operation.answer.detail) == ("protocol", "an answer of more than 8388608 bytes")


async def test_connections_are_kept_where_it_is_said() -> None:
    """One connection per operation, or with `keep` one after the other on the same, greeted once."""
    async with serving_lines(cache) as server, flying(CACHE, {"cache": server.url}) as flyer:
        for _ in range(3):
            assert (await flyer.fly("kept")).ok
        assert server.connections == 1
        for _ in range(2):
            assert (await flyer.fly("ping")).ok
        assert server.connections == 3
    async with serving_lines(mail) as server, flying(MAIL, {"mail": server.url}) as flyer:
        for _ in range(3):
            assert (await flyer.fly("kept")).ok
        assert server.connections == 1


async def test_a_kept_connection_that_ended_is_replaced() -> None:
    """What the server closed meanwhile, or said too much on, is not used again."""

    async def once(peer: Peer) -> None:
        await peer.line()
        await peer.say("+PONG\r\n")

    async with serving_lines(once) as server, flying(CACHE, {"cache": server.url}) as flyer:
        assert (await flyer.fly("kept")).ok
        await flyer.until_idle_wires_ended("tcp", "cache")
        assert (await flyer.fly("kept")).ok
        assert server.connections == 2
    async with serving_lines(saying("+PONG\r\n+MORE\r\n")) as server, flying(CACHE, {"cache": server.url}) as flyer:
        assert (await flyer.fly("kept")).ok
        await flyer.until_idle_wires_ended("tcp", "cache")
        assert (await flyer.fly("kept")).ok
        assert server.connections == 2


async def test_an_abandoned_script_closes_its_connection() -> None:
    """When the wait is over the server sees the end."""
    slow = CACHE.replace("rate: 9/s", "rate: 9/s\n  deadline: 20ms")
    async with serving_lines(saying("")) as server, flying(slow, {"cache": server.url}) as flyer:
        assert (await flyer.fly("kept")).answer.kind is AnswerKind.NONE
        await server.until_ended()
