"""One direction of a connection under message faults: what waits in it, and the stage that sits in its pipe."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from chaos.proxy.message.plan import WITHHELD_BYTES, Load, Plan
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import ITEM_BYTES, End, Item, Stage

if TYPE_CHECKING:
    from chaos.proxy.message.director import Director
    from chaos.proxy.pipe import Pipe

__all__ = ["Lane", "Lead", "Parked"]


class Lead:
    """Stands where pipes know a toxic, in front of all of them. `fault` is the message fault that ended the connection."""

    order = 0
    name = ""

    def __init__(self) -> None:
        self.fault = ""
        self.hits = 0
        self.attributes: Any = None


class Parked(NamedTuple):
    """A message that others pass by, until then. `serial` keeps the order of equals, `token` is the framer's."""

    due_ns: int
    serial: int
    load: Load
    plan: Plan
    token: Any


class Lane:
    """`todo`, `backlog` and `end` wait behind `ready`, which waits until `free_ns` because of `waiting`. `deaf`: whatever comes vanishes.

    `ended`: the stream's end came, whatever became of it.
    """

    __slots__ = (
        "backlog",
        "deaf",
        "direction",
        "end",
        "ended",
        "finishing",
        "free_ns",
        "gathering",
        "parked",
        "parked_bytes",
        "parks",
        "pipe",
        "queued",
        "ready",
        "stage",
        "todo",
        "waiting",
    )

    def __init__(self, pipe: Pipe, director: Director) -> None:
        self.pipe = pipe
        self.direction = pipe.direction
        self.todo: deque[Piece] = deque()
        self.ready: deque[Load] = deque()
        self.backlog = bytearray()
        self.end: End | None = None
        self.free_ns: int | None = None
        self.waiting: Plan | None = None
        self.ended = self.finishing = False
        self.parked: list[Parked] = []
        self.parked_bytes = self.parks = 0
        self.deaf: Plan | None = None
        self.gathering: Plan | None = None
        self.queued = 0
        self.stage = LaneStage(director, self)

    def untie(self) -> None:
        """Forget the stage, which knows the lane and the director."""
        self.stage.lane = self.stage.director = None

    def wait(self, plan: Plan, until_ns: int) -> None:
        """Nothing passes before that moment."""
        self.waiting, self.free_ns = plan, until_ns
        self.queued = sum(len(piece.data) for piece in self.todo) + sum(len(load.piece.data) for load in self.ready)

    def free(self) -> None:
        """What waited may go."""
        self.waiting = self.free_ns = None
        self.queued = 0

    def park(self, due_ns: int, load: Load, plan: Plan, token: Any) -> None:
        """Let others pass that message."""
        self.parks += 1
        self.parked_bytes += len(load.piece.data)
        heappush(self.parked, Parked(due_ns, self.parks, load, plan, token))

    def unpark(self, now_ns: int) -> Parked | None:
        """A message whose time has come."""
        if not self.parked or self.parked[0].due_ns > now_ns:
            return None
        one = heappop(self.parked)
        self.parked_bytes -= len(one.load.piece.data)
        return one

    def drop_parked(self) -> None:
        """What others passed by can never be said."""
        self.parked.clear()
        self.parked_bytes = 0

    def hurry(self) -> None:
        """What waits because of a fault that is over is due."""
        self.parked = [one._replace(due_ns=0) if one.plan.void else one for one in self.parked]
        heapify(self.parked)

    def settle(self, kept: int, now_ns: int, *, amid: bool) -> None:
        """Tell the pipe what is held, and when to wake. What is due already waits for the end of a message: for bytes, not for a time.

        Thus what is parked must not pause the sender `amid` a message; more is parked only behind its end.
        """
        stage, gathering = self.stage, self.gathering
        gathered = gathering.gathered if gathering is not None else None
        stage.held = kept + self.queued + len(self.backlog) + self.parked_bytes + (len(gathered) if gathered else 0)
        stage.overhead = -self.parked_bytes if amid else ITEM_BYTES * len(self.parked)
        stage.wake_ns = self.free_ns
        due_ns = self.parked[0].due_ns if self.parked else 0
        if due_ns > now_ns and (self.free_ns is None or due_ns < self.free_ns):
            stage.wake_ns = due_ns


class LaneStage(Stage):
    """A seat at the head of a pipe. What it lets go, its director gives to the pipe by itself, in order with the other direction."""

    #: A message kept until it can be named, one withheld until it is complete, and what was read behind them.
    capacity: ClassVar[int] = 2 * WITHHELD_BYTES + 256 * 1024

    __slots__ = ("director", "lane")

    def __init__(self, director: Director, lane: Lane) -> None:
        super().__init__(None, Random, 0)
        self.director: Director | None = director
        self.lane: Lane | None = lane

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        if self.director is not None and self.lane is not None:
            self.director.data(self.lane, chunk, now_ns)
        return []

    def end(self, end: End, now_ns: int) -> list[Item]:
        if self.director is not None and self.lane is not None:
            self.director.end(self.lane, end, now_ns)
        return []

    def wake(self, now_ns: int) -> list[Item]:
        if self.director is not None and self.lane is not None:
            self.director.wake(self.lane, now_ns)
        return []
