"""The audit: wait until the stores are at rest, then read back every declared effect. What cannot be had is told, never raised."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import methodcaller
from types import MappingProxyType
from typing import TypeVar

import anyio

from chaos.ledger.access import Access, UnreadableError
from chaos.ledger.jetstream import JetStream, open_jetstream
from chaos.ledger.line import Line
from chaos.ledger.marks import Marks, StreamMark
from chaos.ledger.postgres import Postgres, open_postgres
from chaos.ledger.rest import Look, Rest
from chaos.model.effect import EffectKind, Ledger, SqlRead, StoredEffect, StreamRead
from chaos.model.event import EffectsRead, Quiet

__all__ = ["HURRIED", "Audit", "Limits", "audit", "mark_streams"]

_LOOK_EVERY_S = 0.1
_Store = TypeVar("_Store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long an audit may take, seconds: for the stores to come to rest, for reading everything, and for one call to a store."""

    quiet_s: float = 25.0
    read_s: float = 20.0
    call_s: float = 5.0


HURRIED = Limits(quiet_s=2.0, read_s=3.0, call_s=1.5)
"""For a run that is to end now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found: whether the stores were at rest, how reading each effect went, and the effects."""

    quiet: Quiet
    reads: tuple[EffectsRead, ...]
    effects: tuple[StoredEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stores:
    """Lines to the stores of one system."""

    postgres: Line[Postgres]
    nats: Line[JetStream]


async def mark_streams(ledger: Ledger, access: Access, limits: Limits) -> Marks:
    """What the streams of a ledger hold before anything is done. Takes as long as one call may, and leaves out what it could not be told."""
    marks: dict[str, StreamMark] = {}
    streams = dict.fromkeys(one.read.stream for one in ledger.effects if isinstance(one.read, StreamRead))
    async with _lines(access, limits) as stores:
        with anyio.move_on_after(limits.call_s):
            for stream in streams:
                with contextlib.suppress(UnreadableError):
                    marks[stream] = await stores.nats.ask(methodcaller("mark", stream))
    return marks


async def audit(ledger: Ledger, access: Access, limits: Limits, marks: Marks = MappingProxyType({})) -> Audit:
    """Audit the stores of a ledger, of which `marks` tells what they held before. Takes little more than the limits' time, and never raises
    for what a store does.
    """
    reads: list[EffectsRead] = []
    effects: list[StoredEffect] = []
    async with _lines(access, limits) as stores:
        quiet = await _come_to_rest(ledger, access, stores, limits.quiet_s)
        until_s = time.monotonic() + limits.read_s
        for kind in ledger.effects:
            read, found = await _read(kind, stores, marks, until_s)
            reads.append(read)
            effects += found
    return Audit(quiet=quiet, reads=tuple(reads), effects=tuple(effects))


@asynccontextmanager
async def _lines(access: Access, limits: Limits) -> AsyncIterator[_Stores]:
    async with (
        Line(lambda: open_postgres(access, limits.call_s)) as postgres,
        Line(lambda: open_jetstream(access, limits.call_s)) as nats,
    ):
        yield _Stores(postgres=postgres, nats=nats)


async def _come_to_rest(ledger: Ledger, access: Access, stores: _Stores, within_s: float) -> Quiet:
    """Look until nothing is under way: work of others announces its end to nobody, it can only be asked for."""
    began_s = time.monotonic()
    rest = Rest(began_s, within_s)
    while not rest.take(await _look(ledger, access, stores), time.monotonic()):  # noqa: ASYNC110 - stores of others signal nothing
        await anyio.sleep(_LOOK_EVERY_S)
    now_ns = time.monotonic_ns()
    return Quiet(t_ns=now_ns, reached=rest.reached, waited_ms=round(now_ns / 1e6 - began_s * 1e3, 1), left=rest.left)


async def _look(ledger: Ledger, access: Access, stores: _Stores) -> Look:
    """One look at every store of the system: a row may have yet to come out of a stream, and a message out of a transaction."""
    look = Look()
    if access.postgres_dsn or ledger.unfinished or any(isinstance(one.read, SqlRead) for one in ledger.effects):
        look += await _seen(stores.postgres, lambda store: store.look(ledger.unfinished))
    if access.nats_url or any(isinstance(one.read, StreamRead) for one in ledger.effects):
        look += await _seen(stores.nats, lambda store: store.look(ledger.streams))
    return look


async def _seen(line: Line[_Store], look: Callable[[_Store], Awaitable[Look]]) -> Look:
    try:
        return await line.ask(look)
    except UnreadableError as problem:
        return Look((str(problem),))


async def _read(
    kind: EffectKind, stores: _Stores, marks: Marks, until_s: float
) -> tuple[EffectsRead, list[StoredEffect]]:
    found: list[StoredEffect] = []
    removed, error = 0, None
    try:
        with anyio.fail_after(max(0.0, until_s - time.monotonic())):
            if isinstance(kind.read, SqlRead):
                found = await stores.postgres.ask(lambda store: store.read(kind))
            else:
                before = marks.get(kind.read.stream, StreamMark())
                found, removed = await stores.nats.ask(lambda store: store.read(kind, before))
    except TimeoutError:
        error = "the time for reading was over"
    except UnreadableError as problem:
        error = str(problem)
    count = sum(one.count for one in found)
    return EffectsRead(t_ns=time.monotonic_ns(), effect=kind.name, count=count, removed=removed, error=error), found
