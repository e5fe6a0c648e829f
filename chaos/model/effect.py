"""Effects: what operations leave in the stores, declared as data, so that they can be counted when the load is over.

A system declares its effects in one form, whoever wrote it: a query whose rows name operations, or a stream whose messages do.

    effects:
      - {name: order, sql: "SELECT op_id, count(*) FROM orders GROUP BY op_id"}
      - {name: event, stream: EVENTS, op_id_in: header, key: X-Op-Id}
"""

from __future__ import annotations

from enum import StrEnum

from chaos.model.base import Data

__all__ = ["EffectKind", "Ledger", "OpIdIn", "SqlRead", "StoredEffect", "StreamRead", "Unfinished"]


class OpIdIn(StrEnum):
    """Where in a message the op id stands: a member of the W3C `baggage` header, a header, a token of the subject, a JSON member."""

    BAGGAGE = "baggage"
    HEADER = "header"
    SUBJECT = "subject"
    JSON = "json"


class SqlRead(Data, frozen=True, kw_only=True, tag_field="by", tag="sql"):
    """A query whose rows are an op id and, if it counts, how many effects that operation left; without a count each row is one."""

    sql: str


class StreamRead(Data, frozen=True, kw_only=True, tag_field="by", tag="stream"):
    """A JetStream stream of which each message is one effect.

    `key` is the baggage member, the header's name, the number of the subject's token (from 1, negative ones from the end), or the
    path of the JSON member (`data.op_id`). `subjects` narrows the stream to a subject with wildcards.
    """

    stream: str
    op_id_in: OpIdIn = OpIdIn.BAGGAGE
    key: str = "op.id"
    subjects: str = ""

    def __post_init__(self) -> None:
        """Refuse a subject's token that is no number."""
        if self.op_id_in is OpIdIn.SUBJECT and not self.key.removeprefix("-").strip("0").isdecimal():
            raise ValueError(f"{self.key!r} numbers no token of a subject; write 1 for the first, -1 for the last")


class EffectKind(Data, frozen=True, kw_only=True):
    """One kind of effect. `about` is what one is called in a sentence, `store` the callee that keeps it (`postgres`, `nats`).

    An operation leaves it exactly once, unless `at_least_once` says that more than one is right as well.
    """

    name: str
    about: str
    store: str
    read: SqlRead | StreamRead
    at_least_once: bool = False


class Unfinished(Data, frozen=True, kw_only=True):
    """Work that will still change effects, such as the rows of an outbox: a query for one number, 0 when there is none."""

    name: str
    sql: str


class Ledger(Data, frozen=True, kw_only=True):
    """What a system declares: its effects, and what must be at rest before they are counted.

    `streams` are those whose consumers must have worked off everything; None stands for all.
    """

    effects: tuple[EffectKind, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    streams: tuple[str, ...] | None = None

    def effect(self, name: str) -> EffectKind:
        """The effect of that name. Raises KeyError."""
        for one in self.effects:
            if one.name == name:
                return one
        raise KeyError(name)


class StoredEffect(Data, frozen=True, kw_only=True):
    """What a store held of one operation: so many effects of a kind. `places` say where the first of them are, such as `seq 12`."""

    effect: str
    op_id: str
    count: int = 1
    places: tuple[str, ...] = ()
