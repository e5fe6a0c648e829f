"""The director of one connection: has its streams cut into pieces, asks which fault takes which turn, and does what actions say.

It is a pair of stages at the head of both pipes. Where answers come in order (HTTP, Postgres) a message held holds the stream behind
it, and a connection that lost a message says no more: it is deaf. Elsewhere (NATS) others pass by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.proxy.message.acting import Acting
from chaos.proxy.message.choosing import choose, choose_at_item, plan_setup
from chaos.proxy.message.framing import Framing
from chaos.proxy.message.lane import Lane
from chaos.proxy.message.passing import answered_by
from chaos.proxy.message.plan import Load, Plan
from chaos.proxy.message.turn import Dialect, Part, Piece, Turn
from chaos.proxy.stage import End
from chaos.proxy.timers import Timer

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["Director"]

LINGER_NS = 1_000_000_000
"""So long after its caller's end a deaf connection is reset, or as many would pile up as are opened while the fault lasts."""


class Director(Acting):
    """`setup`: a fault that meets what the connection begins with. `left` is called when the director has gone."""

    def __init__(
        self, connection: Connection, framing: Framing, dialect: Dialect, setup: Toxic | None, left: Callable[[], None]
    ) -> None:
        super().__init__(connection, framing, dialect)
        self._setup = setup
        self._left = left
        self._leaving = False
        self._going = False
        self._parting: Timer | None = None
        self.up, self.down = Lane(connection.up, self), Lane(connection.down, self)
        framing.lend()
        for lane in (self.up, self.down):
            lane.pipe.insert(self.lead, lane.stage)

    def __repr__(self) -> str:
        state = "over" if self.over else "leaving" if self._leaving else "directing"
        return f"<Director {self.connection!r} {state} open={len(self.open)}>"

    # -- what the stages report -------------------------------------------------------------------------------------

    def data(self, lane: Lane, chunk: bytes, now_ns: int) -> None:
        """A chunk came."""
        self.now_ns = now_ns
        if self.over:
            return
        self.framing.sweep(lane.direction)
        if lane.free_ns is None:
            self._cut(lane, chunk)
            self._work(lane)
        else:
            lane.backlog += chunk
        self._done()

    def end(self, lane: Lane, end: End, now_ns: int) -> None:
        """The stream of that direction ended."""
        self.now_ns = now_ns
        lane.end, lane.ended = end, True
        self._work(lane)
        self._done()

    def wake(self, lane: Lane, now_ns: int) -> None:
        """Something may be due."""
        self.now_ns = now_ns
        if lane.free_ns is not None and lane.free_ns <= now_ns:
            lane.free()
        self._work(lane)
        self._done()

    def _done(self) -> None:
        self.flush()
        if self.up.ended and self.down.deaf is not None and self._parting is None and not self.over:
            self._parting = self.connection.proxy.server.timers.at(self.now_ns + LINGER_NS, self._part)
        if self._leaving and not self._going and not self.over and not self._owes():
            # Not from within a pipe that is going through its seats.
            self._going = True
            self.connection.proxy.server.timers.at(self.now_ns, self._go)

    def _part(self) -> None:
        """Nothing will be said on a connection whose caller has left; who only had no more to say has had its silence."""
        if not self.over and self.down.deaf is not None:
            self.over = True
            self.connection.reset("rst", self.down.deaf.toxic.fault)

    # -- coming and going -------------------------------------------------------------------------------------------

    def stay(self) -> None:
        """There are message faults again."""
        self._leaving = False

    def leave(self) -> None:
        """There are none any more; what was begun with an exchange is brought to its end."""
        self._leaving = True
        self._go()

    def heal(self, toxic: Toxic, now_ns: int) -> None:
        """A fault is over: what it held goes on; a connection that it made deaf, or took a subscription from, is reset."""
        self.now_ns = now_ns
        for plan in (self.up.deaf, self.down.deaf, self.holes.get(toxic)):
            if plan is not None and plan.toxic is toxic and not self.over:
                self.end_with(self.up, End.RESET, plan)
        for lane in (self.up, self.down):
            if lane.waiting is not None and lane.waiting.toxic is toxic:
                lane.free()
            if lane.gathering is not None and lane.gathering.toxic is toxic:
                self.let_go(lane, lane.gathering)
            lane.hurry()
            self._work(lane)
        self.flush()
        for lane in (self.up, self.down):
            lane.pipe.give(self.lead, [], now_ns)

    def untie(self) -> None:
        """Nothing is directed any more: the knot of lanes and stages goes without the garbage collector, which may stand still."""
        self.over = True
        if self._parting is not None:
            self._parting.cancel()
            self._parting = None
        for lane in (self.up, self.down):
            lane.untie()

    def _owes(self) -> bool:
        if self.hidden or self.up.parked or self.down.parked:
            return True
        return any(isinstance(turn.plan, Plan) and turn.plan.owes for turn in self.open)

    def _go(self) -> None:
        self._going = False
        if not self._leaving or self.over or self.connection.closing or self._owes():
            return
        for lane in (self.up, self.down):
            kept = self.dialect.give_up(lane.direction)
            if kept:
                self.say(lane, self.framing.feed(lane.direction, kept))
        self.flush()
        for lane in (self.up, self.down):
            lane.pipe.remove(self.lead)
        self.framing.take_back()
        self.untie()
        self._left()

    # -- pieces -----------------------------------------------------------------------------------------------------

    def _cut(self, lane: Lane, chunk: bytes) -> None:
        lane.todo.extend(self.dialect.asked(chunk) if lane is self.up else self.dialect.answered(chunk))
        if self.dialect.raw:
            self.lose()

    def _work(self, lane: Lane) -> None:
        """Everything that need not wait."""
        while lane.free_ns is None and not self.over:
            if lane.ready and lane.deaf is not None:
                self.swallow(lane, lane.ready.popleft())
            elif lane.ready:
                self.pass_on(lane, lane.ready.popleft())
            elif lane.todo:
                self._take(lane, lane.todo.popleft())
            elif lane.backlog:
                chunk, lane.backlog = bytes(lane.backlog), bytearray()
                self._cut(lane, chunk)
            elif not self._finish(lane):
                break
        self.unpark(lane)

    def _finish(self, lane: Lane) -> bool:
        """The stream's end, if it has come and nothing is before it; whether there is more to do."""
        if lane.end is None:
            return False
        if lane.deaf is not None:
            lane.end = None
            return False
        if not lane.finishing:
            lane.finishing = True
            lane.todo.extend(self.dialect.ended(lane.direction))
            return True
        if lane.gathering is not None:  # without its end there is no proof that the work was done
            self.let_go(lane, lane.gathering)
            return True
        if self.dialect.amid(
            lane.direction
        ):  # its sender is gone in the midst of one, behind which nothing would be understood
            lane.drop_parked()
        if not lane.parked:
            self.say(lane, lane.end)
            lane.end = None
        return False

    def _take(self, lane: Lane, piece: Piece) -> None:
        if lane.deaf is not None:
            self.vanish(lane, piece, lane.deaf)
            return
        turn, answered = piece.turn, answered_by(piece)
        if piece.part & Part.ASKS and lane.gathering is not None:
            self.let_go(lane, lane.gathering)  # an answer in two parts: there is no proof before the second
            lane.todo.appendleft(piece)
            return
        if turn is not None and turn.hidden:
            self.hidden -= bool(piece.part & Part.DONE)
            return
        if answered is not None and answered.later and piece.part & Part.ITEM:
            plan = choose_at_item(self.connection, answered, piece.item)
            answered.plan = answered.plan or plan
        load = self._framed(lane, piece, answered)
        for owner, reply in ((answered, True), (None if turn is answered else turn, False)):
            found = owner.plan if owner is not None else None
            if owner is not None and isinstance(found, Plan) and found.meets(piece, reply=reply):
                self.meet(lane, found, load, owner, reply=reply)
                break
        else:
            self.pass_on(lane, load)
        if len(lane.pipe.seats) > 1:  # toxics behind it act on what was fed last
            self.flush()

    def _framed(self, lane: Lane, piece: Piece, answered: Turn | None) -> Load:
        """Have it framed, but for an answer: that is, once it is clear what becomes of it."""
        turn = piece.turn
        if turn is not None and piece.part & Part.FIRST:
            if self._outbox:
                self.flush()  # what acts on the message before must not be taken for acting on this one
            data, names = self.framing.name(lane.direction, piece.data)
            turn.units = tuple(name.unit for name in names)
            if self.dialect.ordered and turn.replies:
                self.open.append(turn)
            setup = self._setup if self._setup is not None and not self._setup.over else None
            plan = None if setup is None else plan_setup(setup, names)
            if plan is not None:
                self._setup = None
            turn.plan = plan or (choose(self.connection, self.dialect, turn, names) if names else None)
            return Load(piece._replace(data=data), fed=True)
        if answered is not None and turn is answered:
            return Load(piece, fed=False)
        return Load(piece._replace(data=self.framing.feed(lane.direction, piece.data)), fed=True)
