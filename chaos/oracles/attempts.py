"""Attempts: messages of one trace that are the same thing sent again, by the same service, for the same request or delivery.

The same link, signature and body digest or idempotency key. What a service was sent anew begins anew: a queue's redelivery, or its own
caller's next attempt, may be tried again below. What is sent after one that ended well is no attempt either: nothing had failed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from chaos.oracles.hops import Hop, same_thing

__all__ = ["Attempts", "after_failures", "find_attempts"]

_WELL = frozenset({"ok", "+ACK"})
_WELL_OVER_HTTP = ("1", "2", "3")  # of 1xx only 101 ends an exchange
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})
_LOOKED_BACK = 64


@dataclass(slots=True, kw_only=True)
class Attempts:
    """Attempts at one thing, in time. `unseen` are those around whose body was cut off before it could be told from others.

    `at_once`: so many of the same request or delivery its sender had open at a time, each of which may attempt it.
    """

    made: list[Hop] = field(default_factory=list)
    unseen: list[Hop] = field(default_factory=list)
    at_once: int = 1


def find_attempts(hops: Sequence[Hop]) -> Iterator[Attempts]:
    """Groups of a trace's messages, which come in time. What has no body belongs to none: it cannot be told apart."""
    groups: dict[tuple[str, str, int], dict[str, Attempts]] = {}
    received: dict[str, list[Hop]] = {}
    at_once: dict[str, int] = {}
    for hop in hops:
        if hop.of_a_service and not _without_body(hop):
            what = hop.request.link, hop.request.signature, len(received.get(hop.sender, ()))
            groups.setdefault(what, {}).setdefault(hop.digest, Attempts()).made.append(hop)
        earlier = received.setdefault(hop.receiver, [])
        same = sum(same_thing(one, hop) and one.end_ns >= hop.t_ns for one in earlier[-_LOOKED_BACK:])
        at_once[hop.receiver] = max(at_once.get(hop.receiver, 1), 1 + same)
        earlier.append(hop)
    for by_digest in groups.values():
        unseen = by_digest.pop("", None)
        if unseen is not None and not by_digest:
            by_digest[""] = Attempts()
        for one in by_digest.values():
            one.unseen = unseen.made if unseen else []
            one.at_once = at_once.get((one.made or one.unseen)[0].sender, 1)
            yield one


def after_failures(attempts: Sequence[Hop], spoiling: Collection[str]) -> Iterator[Sequence[Hop]]:
    """Cut where one ended well, so that each but the first follows a failed, cut or unanswered one.

    An answer on which one of the faults `spoiling` acted may have been unreadable, whatever its status.
    """
    row: list[Hop] = []
    for hop in attempts:
        if row and _ended_well(row[-1], hop.t_ns, spoiling):
            yield row
            row = []
        row.append(hop)
    if row:
        yield row


def _ended_well(before: Hop, next_ns: int, spoiling: Collection[str]) -> bool:
    """Whether nothing about it asked for another attempt, as far as its sender knew when it sent the next.

    Over HTTP who gives up closes the connection, so a good answer was waited for. A publish without a reply subject cannot fail.
    """
    on_nats = before.request.signature.startswith("PUB ")
    if on_nats and before.status in {"", "none"}:
        return True
    if before.reply is None or any(one in spoiling for one in before.reply.faults):
        return False
    if on_nats:
        return before.status in _WELL and before.end_ns <= next_ns
    return before.status.isdigit() and before.status.startswith(_WELL_OVER_HTTP)


def _without_body(hop: Hop) -> bool:
    """True for a request that has none, and not for one that was cut off before its end."""
    if hop.digest or hop.reply is None:
        return False
    return hop.status.isdigit() or hop.request.signature.partition(" ")[0] in _BODILESS
