"""What a NATS connection is known to hear: subscriptions that end by themselves are forgotten, and those that stay are not."""

from __future__ import annotations

import pytest

from chaos.wire import NatsFramer
from chaos.wire.nats_sids import Subscriptions
from tests.wire.nats_messages import msg


@pytest.fixture
def framer() -> NatsFramer:
    """Of a connection that hears inboxes and `tasks`."""
    framer = NatsFramer("a>b", 1, lambda _: None)
    framer.feed_request(b"SUB _INBOX.mux.* 1\r\nSUB tasks 9\r\n", 0)
    return framer


@pytest.mark.parametrize("headers", [b"", b"NATS/1.0\r\nA: b\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_one_that_is_to_end_does_so_with_its_last_message(framer: NatsFramer, size: int, headers: bytes) -> None:
    """However its messages come in pieces; messages of others do not count."""
    framer.feed_request(b"UNSUB 9 2\r\n", 0)
    seen = []
    for one in (
        msg("tasks", b"first", "", headers),
        msg("x", b"").replace(b" 9 ", b" 1 "),
        msg("tasks", b"last", "", headers),
    ):
        for at in range(0, len(one), size):
            framer.feed_reply(one[at : at + size], 0)
        seen.append(framer.subscription(b"tasks"))
    assert seen == [b"9", b"9", None]


@pytest.mark.parametrize("line", [b"UNSUB 9\r\n", b"UNSUB 9 0\r\n"])
def test_one_that_ends_at_once(framer: NatsFramer, line: bytes) -> None:
    """With no maximum, or one of none."""
    framer.feed_request(line, 0)
    assert framer.subscription(b"tasks") is None


def test_a_maximum_that_is_none_changes_nothing(framer: NatsFramer) -> None:
    """Nor does one of a subscription that nobody knows."""
    framer.feed_request(b"UNSUB 9 x\r\nUNSUB 77 1\r\n", 0)
    framer.feed_reply(msg("tasks", b""), 0)
    assert framer.subscription(b"tasks") == b"9"


def test_subscribed_again_it_does_not_end(framer: NatsFramer) -> None:
    """The last SUB of a sid counts."""
    framer.feed_request(b"UNSUB 9 1\r\nSUB others 9\r\n", 0)
    framer.feed_reply(msg("others", b"") * 3, 0)
    assert framer.subscription(b"others") == b"9"
    assert framer.subscription(b"tasks") is None


def test_the_inbox_outlives_requests_that_subscribe_for_one_answer_each(framer: NatsFramer) -> None:
    """As many as there may be, answered or not: the oldest subscription is not forgotten for them."""
    for sid in range(10, 10_000):
        framer.feed_request(b"SUB _INBOX.o%d %d\r\nUNSUB %d 1\r\n" % (sid, sid, sid), 0)
    assert framer.subscription(b"_INBOX.mux.1") == b"1"
    assert framer.subscription(b"_INBOX.o9999") == b"9999"
    assert framer.subscription(b"_INBOX.o10") is None


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten for a new one, never for one that is known already."""
    known = Subscriptions()
    for sid in range(4_096):
        known.add(b"%d" % sid, b"s.%d" % sid)
    for sid in range(1, 4_096):
        known.add(b"%d" % sid, b"s.%d" % sid)
    assert known.hearing(b"s.0") == b"0"
    known.add(b"new", b"s.new")
    assert (known.hearing(b"s.0"), known.hearing(b"s.new"), len(known)) == (None, b"new", 4_096)
