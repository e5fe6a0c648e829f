"""A stage: one toxic on one direction of one connection, as a state machine that is pure in time.

It is given chunks, the end of the stream and `now_ns`, and answers with what passes on. `wake_ns` is when it wants to be
woken next; somebody else waits. Nothing here knows a clock, a socket or a loop.
"""

# ruff: noqa: ARG002 - one interface for all stages
from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from chaos.proxy.errors import BadAttributesError

if TYPE_CHECKING:
    from chaos.proxy.message.action import Action

__all__ = ["ITEM_BYTES", "MAX_NS", "MS", "US", "Attributes", "End", "Item", "Stage", "ToxicType", "WrappedStage"]

US = 1_000
MS = 1_000_000
# A due time is kept below what 63 bits hold, whatever attributes ask for.
MAX_NS = 1 << 62
SMALL_CAPACITY = 64 * 1024
#: A queued item beside its bytes: tuple, numbers, the object round the bytes.
ITEM_BYTES = 256


class End(Enum):
    """How a direction of a stream ends. `FIN`, `CLOSE` and `CUT` stay in order behind data; `RESET` overtakes it."""

    FIN = "fin"  # the sender is done; the other direction goes on
    CLOSE = "close"  # both directions are closed once this gets through
    CUT = "cut"  # both sides get an RST once this gets through; a stage that holds nothing is not asked
    RESET = "rst"  # both sides get an RST at once


Item = bytes | End


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes of a toxic type, by their JSON names, int64 each. What is odd but harmless is clamped in effect.

    `extensions`: names that Toxiproxy's type of this name does not have; listings show them only where they are not 0.
    `grows`: whether anything of it can grow on a ramp.
    """

    extensions: ClassVar[frozenset[str]] = frozenset()
    grows: ClassVar[bool] = True

    def check(self) -> None:
        """Raise BadAttributesError for what no effect can be given to; the default accepts everything."""

    def scaled(self, part: int, whole: int) -> Self:
        """These attributes on a ramp, when `part` of `whole` is over; the default lets every one of them grow from 0."""
        return type(self)(**{name: value * part // whole for name, value in msgspec.structs.asdict(self).items()})


class Stage:
    """Passes everything on. Subclasses override what they change, and say what they did in `acted` and `held`.

    `overhead`: what bookkeeping takes beside the bytes held. A stage of large capacity counts it, as chunks may be of one byte.
    `stays`: the stage goes on although its toxic is gone (set by `remove`), until the connection ends.
    """

    #: Bytes a stage may hold, overhead included, before the sender is paused.
    capacity: ClassVar[int] = SMALL_CAPACITY

    __slots__ = ("_make_rng", "_rng", "acted", "attributes", "held", "overhead", "stays", "wake_ns")

    def __init__(self, attributes: Any, rng: Callable[[], Random], now_ns: int) -> None:
        self.attributes = attributes
        self._make_rng = rng
        self._rng: Random | None = None
        self.wake_ns: int | None = None
        self.held = 0
        self.overhead = 0
        self.acted = False
        self.stays = False
        self.begin(now_ns)

    @property
    def rng(self) -> Random:
        """The generator of this stage's draws, made on first use: seeding costs more than most stages ever spend."""
        if self._rng is None:
            self._rng = self._make_rng()
        return self._rng

    def begin(self, now_ns: int) -> None:
        """The toxic took hold of this direction."""

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        """A chunk arrived at `now_ns`; what passes on at once."""
        return [chunk]

    def end(self, end: End, now_ns: int) -> list[Item]:
        """The stream ended; nothing follows."""
        return [end]

    def wake(self, now_ns: int) -> list[Item]:
        """`wake_ns` has come; may be called early, and then does nothing."""
        return []

    def update(self, attributes: Any, now_ns: int) -> list[Item]:
        """The toxic has new attributes."""
        self.attributes = attributes
        return []

    def remove(self, now_ns: int) -> list[Item]:
        """The toxic is gone: everything held, in order, and an end if the stream cannot go on."""
        return []


class WrappedStage(Stage):
    """A stage round another, `inner`, which may still be missing; `did()` takes over what the inner one says of itself."""

    __slots__ = ("_capacity", "inner")

    def __init__(self, attributes: Any, capacity: int) -> None:
        super().__init__(attributes, Random, 0)
        self._capacity = capacity
        self.inner: Stage | None = None

    @property
    def capacity(self) -> int:  # type: ignore[override]
        """That of the inner stage."""
        return self._capacity

    def did(self, items: list[Item]) -> list[Item]:
        """Copy wish, bytes held and touch of the inner stage; the items as they are."""
        inner = self.inner
        if inner is not None:
            self.wake_ns, self.held, self.overhead = inner.wake_ns, inner.held, inner.overhead
            self.stays = inner.stays
            self.acted = self.acted or inner.acted
            inner.acted = False
        return items

    def wake(self, now_ns: int) -> list[Item]:
        """Wake the inner stage."""
        return [] if self.inner is None else self.did(self.inner.wake(now_ns))

    def update(self, attributes: Any, now_ns: int) -> list[Item]:
        """Tell the inner stage."""
        self.attributes = attributes
        return [] if self.inner is None else self.did(self.inner.update(attributes, now_ns))

    def remove(self, now_ns: int) -> list[Item]:
        """What the inner stage held."""
        return [] if self.inner is None else self.did(self.inner.remove(now_ns))


class ToxicType(msgspec.Struct, frozen=True, kw_only=True):
    """What a file in `toxics/` declares as `TOXIC`.

    `stage` None: nothing happens to bytes. `both` and `direction` override the stream asked for (`>` caller to callee).
    `closes_listener`: connects are refused while it lasts. `cuts_live` decides by attributes whether live connections are
    reset at onset. `accepts_silently`: new connections are accepted and not passed to the upstream. `closes_accepted`: new
    connections are accepted and closed. `action`: a message fault, which acts on single messages and has no stage.
    """

    name: str
    attributes: type[Attributes]
    stage: type[Stage] | None = None
    action: type[Action] | None = None
    standard: bool = True
    both: bool = False
    direction: str = ""
    closes_listener: bool = False
    accepts_silently: bool = False
    closes_accepted: bool = False
    cuts_live: Callable[[Any], bool] | None = None

    @property
    def countable(self) -> bool:
        """Whether single messages or, if it closes them, connections can be picked out."""
        if self.closes_accepted or self.action is not None:
            return True
        return self.stage is not None and not self.accepts_silently

    def directions(self, stream: str) -> tuple[str, ...]:
        """Directions that a toxic of this type on that stream works on."""
        if self.stage is None:
            return ()
        if self.both or stream.lower() == "both":
            return (">", "<") if not self.direction else (self.direction,)
        return (self.direction or (">" if stream.lower() == "upstream" else "<"),)

    def decode(self, values: dict[str, int]) -> Attributes:
        """Attributes from their JSON names; unknown names are ignored. Raises BadAttributesError."""
        try:
            attributes = msgspec.convert(values, self.attributes)
        except msgspec.ValidationError as error:
            raise BadAttributesError(str(error)) from error
        attributes.check()
        return attributes
