"""Messages that are no work of the link: subscriptions and requests to cancel are meant by who matches them, and by nobody else."""

from __future__ import annotations

from typing import Any

import nats
import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from tests.proxy.directed_rig import Directed, directed
from tests.proxy.nats_rig import GUARD_S, LOST_S, Link, nats_link, settled
from tests.wire.nats_messages import msg, pub
from tests.wire.postgres_messages import CANCEL

link = nats_link
INFO = b'INFO {"client_id":7}\r\n'
SUB, UNSUB = b"SUB _INBOX.a.* 1\r\n", b"UNSUB 1\r\n"


def begin(one: Directed) -> None:
    """A connection to NATS whose beginning is over."""
    one.feed("<", INFO)
    one.feed(">", b"CONNECT {}\r\n")
    one.lines[">"].got = b""


@pytest.mark.parametrize("type_", ["drop", "hold", "error", "cut"])
async def test_a_subscription_is_neither_taken_nor_counted(type_: str) -> None:
    """By a fault that says nothing of it: it passes, and the message behind it is the first that is counted."""
    members = {"hold": {"attributes": {"hold": 3_600_000}}, "error": {"answer": "-ERR 'Permissions Violation'"}}
    async with directed(Protocol.NATS) as one:
        begin(one)
        one.fault(type_, count={"first": 1}, **members.get(type_, {}))
        one.feed(">", SUB + UNSUB + SUB)
        assert one.out[">"] == SUB + UNSUB + SUB
        one.feed(">", pub("q", b"1", "_INBOX.a.1"))
        assert one.out[">"] == SUB + UNSUB + SUB
        assert [(told.signature, told.status) for told in one.records() if told.kind == "acted"] == [
            ("PUB q", f"before {type_}")
        ]


@pytest.mark.parametrize(("match", "lost"), [("SUB *", SUB), ("UNSUB *", UNSUB)])
async def test_who_lost_a_subscription_is_reset_when_the_fault_ends(match: str, lost: bytes) -> None:
    """It goes on until then: nobody would ever say again what was lost."""
    async with directed(Protocol.NATS) as one:
        begin(one)
        one.fault("drop", name="d", match=match)
        one.fault("drop", name="other", match="PUB lost")
        one.feed(">", SUB + UNSUB + pub("q") + pub("lost"))
        assert one.out[">"] == (SUB + UNSUB).replace(lost, b"") + pub("q")
        one.proxy.remove_toxic("other")
        assert not one.ended
        one.heal()
        assert {line.ending for line in one.lines.values()} == {"rst"}


async def pong(message: Any) -> None:
    """A service."""
    await message.respond(b"pong")


async def test_requests_work_when_a_fault_without_a_match_is_over(link: Link) -> None:
    """nats-py subscribes its inbox with its first request, and never again."""
    await link.direct.subscribe(link.name, cb=pong)
    await settled(link.direct)
    client = await link.client()
    link.proxy.add_toxic(ToxicSpec(type="drop", name="d"))
    with pytest.raises(nats.errors.TimeoutError):
        await client.request(link.name, b"1", timeout=LOST_S)
    link.proxy.remove_toxic("d")
    assert (await client.request(link.name, b"2", timeout=GUARD_S)).data == b"pong"


async def test_a_request_to_cancel_is_neither_taken_nor_counted() -> None:
    """The statement behind it, on another connection, is the first."""
    async with directed(Protocol.POSTGRES) as one:
        one.fault("hold", count={"first": 1}, attributes={"hold": 3_600_000})
        one.feed(">", CANCEL)
        assert one.out[">"] == CANCEL
        assert not [told for told in one.records() if told.kind == "acted"]


@pytest.mark.parametrize(("type_", "taken"), [("drop", "PUB work"), ("cut", "PUB $JS.API.CONSUMER.MSG.NEXT.S.w")])
async def test_a_pull_has_no_answer_that_could_be_taken(type_: str, taken: str) -> None:
    """What comes is deliveries, so that a fault after a message neither takes nor counts it; but for a cut, which needs no answer."""
    async with directed(Protocol.NATS) as one:
        begin(one)
        one.fault(type_, phase="after", count={"first": 1})
        one.feed(">", pub("$JS.API.CONSUMER.MSG.NEXT.S.w", b"1", "_INBOX.a.1"))
        one.feed(">", pub("work", b"x", "_INBOX.a.2"))
        one.feed("<", msg("_INBOX.a.2", b"done"))
        assert [told.signature for told in one.records() if told.kind == "acted"] == [taken]


@pytest.mark.parametrize(
    ("way", "unheard", "heard"),
    [
        (">", pub("q", b"1", "_INBOX.elsewhere"), pub("q", b"2", "_INBOX.a.2")),
        ("<", msg("q", b"1"), msg("q", b"2", "$JS.ACK.S.w.1.1.1.1.0")),
    ],
    ids=["published", "delivered"],
)
async def test_an_error_that_nobody_would_hear_is_not_told(way: str, unheard: bytes, heard: bytes) -> None:
    """Where no subscription covers the inbox, or nobody waits for an answer: the message passes, and the next one counts."""
    async with directed(Protocol.NATS) as one:
        begin(one)
        one.feed(">", SUB)
        one.fault("error", answer="no-responders", count={"first": 1})
        one.feed(way, unheard + heard)
        assert one.out[way].endswith(unheard)
        assert [told.number for told in one.records() if told.kind == "acted"] == [4]
