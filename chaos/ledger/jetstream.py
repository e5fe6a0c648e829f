"""JetStream for the ledger: effects as messages of a stream, and consumers that have not worked off theirs. Nothing is acknowledged."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from chaos.ledger.access import OUR_NAME, Access, UnreadableError
from chaos.ledger.marks import StreamMark, removed_since
from chaos.ledger.op_id import find_op_id
from chaos.ledger.rest import Look
from chaos.model.effect import EffectKind, OpIdIn, StoredEffect, StreamRead

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js.api import ConsumerInfo, StreamInfo

__all__ = ["JetStream", "open_jetstream"]

_CLOSE_WITHIN_S = 1.0
_AT_ONCE = 500
_MOST = 1_000_000
_MOST_PLACES = 5
_NO_JETSTREAM = frozenset(
    {None, 10039, 10076}
)  # nobody there to answer; not enabled for the account; not enabled at all
_FORGET_US_S = 30.0  # the server removes our consumer by itself should we not come to it


class JetStream:
    """One connection of ours. Every call keeps `call_s` as its deadline and raises UnreadableError."""

    def __init__(self, client: Client, call_s: float) -> None:
        self._call_s = call_s
        self._manager = client.jetstream(timeout=call_s)

    async def look(self, streams: Sequence[str] | None) -> Look:
        """What consumers of these streams (of all by default) have yet to get or to acknowledge; nothing where there is no JetStream."""
        look = Look()
        with _translated(), anyio.fail_after(self._call_s):
            for stream in await self._streams():
                name = str(stream.config.name)
                if stream.state.consumer_count and (streams is None or name in streams):
                    for one in await self._consumers(name):
                        if not str(one.name).startswith(OUR_NAME):
                            look += _look(name, one)
        return look

    async def mark(self, stream: str) -> StreamMark:
        """What the stream holds now."""
        with _translated(), anyio.fail_after(self._call_s):
            return _mark(await self._manager.stream_info(stream))

    async def read(self, kind: EffectKind, before: StreamMark) -> tuple[list[StoredEffect], int]:
        """Every message of the effect's stream by op id, and how many that came since `before` are gone.

        Raises UnreadableError for a stream that forgets what was consumed: what is missing there proves nothing.
        """
        from nats.js.api import RetentionPolicy

        read = kind.read
        assert isinstance(read, StreamRead)
        with _translated(), anyio.fail_after(self._call_s):
            stream = await self._manager.stream_info(read.stream)
        if stream.config.retention not in {None, RetentionPolicy.LIMITS}:
            raise UnreadableError(
                f"stream {read.stream} forgets messages once they are consumed; name one that keeps them (retention: limits)"
            )
        found = _Found(kind.name)
        if stream.state.messages:
            with _translated(), anyio.fail_after(self._call_s):
                await self._take_all(read, found)
        return found.effects(), removed_since(before, _mark(stream))

    async def _streams(self) -> list[StreamInfo]:
        from nats.js.errors import ServiceUnavailableError

        found: list[StreamInfo] = []
        try:
            while page := await self._manager.streams_info(len(found)):
                found += page
                if len(page) < 256:
                    break
        except ServiceUnavailableError as error:
            if error.err_code not in _NO_JETSTREAM:
                raise
        return found

    async def _consumers(self, stream: str) -> list[ConsumerInfo]:
        found: list[ConsumerInfo] = []
        while page := await self._manager.consumers_info(stream, len(found)):
            found += page
            if len(page) < 256:
                break
        return found

    async def _take_all(self, read: StreamRead, found: _Found) -> None:
        """All that is in the stream now, by a consumer of our own that needs no acknowledgement."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        name = f"{OUR_NAME}-{secrets.token_hex(6)}"
        config = ConsumerConfig(
            name=name,
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            filter_subject=read.subjects or None,
            headers_only=read.op_id_in is not OpIdIn.JSON,
            mem_storage=True,
            inactive_threshold=_FORGET_US_S,
        )
        consumer = await self._manager.add_consumer(read.stream, config)
        total = consumer.num_pending or 0
        if total > _MOST:
            raise UnreadableError(
                f"stream {read.stream} holds {total} messages; narrow it to those of the run (subjects)"
            )
        subscription = await self._manager.pull_subscribe_bind(name, read.stream)
        while found.messages < total:
            batch = min(_AT_ONCE, total - found.messages)
            for message in await subscription.fetch(batch, timeout=self._call_s):
                op_id = find_op_id(read, message.subject, message.headers or {}, message.data)
                found.take(op_id, message)
        await self._manager.delete_consumer(read.stream, name)


class _Found:
    """Messages so far, counted by op id; the places of the first ones are kept."""

    def __init__(self, effect: str) -> None:
        self.messages = 0
        self._effect = effect
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def take(self, op_id: str, message: Any) -> None:
        self.messages += 1
        self._counts[op_id] = self._counts.get(op_id, 0) + 1
        places = self._places.setdefault(op_id, [])
        if len(places) < _MOST_PLACES:
            places.append(f"seq {message.metadata.sequence.stream}")

    def effects(self) -> list[StoredEffect]:
        return [
            StoredEffect(effect=self._effect, op_id=op_id, count=count, places=tuple(self._places[op_id]))
            for op_id, count in self._counts.items()
        ]


@asynccontextmanager
async def open_jetstream(access: Access, call_s: float) -> AsyncIterator[JetStream]:
    """Connect, and close. Raises UnreadableError when there is no connection to be had."""
    from nats.aio.client import Client

    if not access.nats_url:
        raise UnreadableError("it is not known where this system keeps its NATS")
    client = Client()
    try:
        with _translated(), anyio.fail_after(call_s):
            await client.connect(
                access.nats_url,
                name=OUR_NAME,
                connect_timeout=max(1, int(call_s)),
                allow_reconnect=False,
                error_cb=_ignore,
            )
        yield JetStream(client, call_s)
    finally:  # a connection that was given up half made needs its end as well
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_WITHIN_S):
            await client.close()


def _mark(stream: StreamInfo) -> StreamMark:
    state = stream.state
    return StreamMark(first=state.first_seq or 1, last=state.last_seq, messages=state.messages)


def _look(stream: str, consumer: ConsumerInfo) -> Look:
    """What one consumer has yet to do. Messages that were handed back with a pause count as not acknowledged."""
    pending, unacknowledged = consumer.num_pending or 0, consumer.num_ack_pending or 0
    left = []
    if pending:
        left.append(f"{pending} not delivered to {consumer.name} of {stream}")
    if unacknowledged:
        left.append(f"{unacknowledged} not acknowledged by {consumer.name} of {stream}")
    delivered, floor = consumer.delivered, consumer.ack_floor
    state = (delivered and delivered.consumer_seq, floor and floor.consumer_seq)
    config = consumer.config
    waits = [config.ack_wait or 0.0, *(config.backoff or ())]
    return Look(tuple(left), state, max(waits) if left else 0.0)


async def _ignore(_error: Exception) -> None:
    """What goes wrong comes out of the call that it concerns."""


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of the store as one error."""
    import nats.errors
    import nats.js.errors

    try:
        yield
    except (TimeoutError, nats.errors.TimeoutError) as error:
        raise UnreadableError("NATS did not answer in time") from error
    except nats.js.errors.NotFoundError as error:
        raise UnreadableError(f"NATS says: {error.description or 'not found'}") from error
    except (nats.errors.Error, nats.js.errors.Error, OSError, ValueError) as error:
        raise UnreadableError(f"NATS says: {type(error).__name__}: {error}") from error
