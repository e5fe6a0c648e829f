"""The director of one connection: has its streams cut into pieces, asks which fault takes which turn, and does what actions say.

It is a pair of stages at the head of both pipes. Where answers come in order (HTTP, Postgres) a message held holds the stream behind
it, and a connection that lost a message says no more: it is deaf. Elsewhere (NATS) others pass by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.model.fault_kind import Phase
from chaos.proxy.message.action import Do, Then
from chaos.proxy.message.choosing import choose, plan_setup
from chaos.proxy.message.framing import Framing
from chaos.proxy.message.lane import Lane
from chaos.proxy.message.passing import Passing, answered_by
from chaos.proxy.message.plan import WITHHELD_BYTES, Load, Plan
from chaos.proxy.message.turn import Answer, Dialect, Part, Piece, Turn
from chaos.proxy.stage import End

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["Director"]

_ENDS = {Then.FIN: End.CLOSE, Then.RST: End.RESET}


class Director(Passing):
    """`setup`: a fault that meets what the connection begins with. `left` is called when the director has gone."""

    def __init__(
        self, connection: Connection, framing: Framing, dialect: Dialect, setup: Toxic | None, left: Callable[[], None]
    ) -> None:
        super().__init__(connection, framing, dialect)
        self._setup = setup
        self._left = left
        self._leaving = False
        self._going = False
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
        lane.end = end
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
        if self._leaving and not self._going and not self.over and not self._owes():
            # Not from within a pipe that is going through its seats.
            self._going = True
            self.connection.proxy.server.timers.at(self.now_ns, self._go)

    # -- coming and going -------------------------------------------------------------------------------------------

    def stay(self) -> None:
        """There are message faults again."""
        self._leaving = False

    def leave(self) -> None:
        """There are none any more; what was begun with an exchange is brought to its end."""
        self._leaving = True
        self._go()

    def heal(self, toxic: Toxic, now_ns: int) -> None:
        """A fault is over: what it held goes on; a connection that it made deaf is reset."""
        self.now_ns = now_ns
        for lane in (self.up, self.down):
            if lane.deaf is not None and lane.deaf.toxic is toxic and not self.over:
                self.end_with(lane, End.RESET, lane.deaf)
        for lane in (self.up, self.down):
            if lane.waiting is not None and lane.waiting.toxic is toxic:
                lane.free()
            if lane.gathering is not None and lane.gathering.toxic is toxic:
                self._let_go(lane, lane.gathering)
            lane.hurry()
            self._work(lane)
        self.flush()
        for lane in (self.up, self.down):
            lane.pipe.give(self.lead, [], now_ns)

    def untie(self) -> None:
        """Nothing is directed any more: the knot of lanes and stages goes without the garbage collector, which may stand still."""
        self.over = True
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

    def _work(self, lane: Lane) -> None:
        """Everything that need not wait."""
        while lane.free_ns is None and not self.over:
            if lane.ready:
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
            self._let_go(lane, lane.gathering)
            return True
        if not lane.parked:
            self.say(lane, lane.end)
            lane.end = None
        return False

    def _take(self, lane: Lane, piece: Piece) -> None:
        if lane.deaf is not None:
            self._vanish(lane, piece, lane.deaf)
            return
        turn, answered = piece.turn, answered_by(piece)
        if (
            piece.part & Part.ASKS and lane.gathering is not None
        ):  # an answer in two parts: there is no proof before the second
            self._let_go(lane, lane.gathering)
            lane.todo.appendleft(piece)
            return
        if turn is not None and turn.hidden:
            self.hidden -= bool(piece.part & Part.DONE)
            return
        load = self._framed(lane, piece, answered)
        for owner, reply in ((answered, True), (None if turn is answered else turn, False)):
            plan = owner.plan if owner is not None else None
            if owner is not None and isinstance(plan, Plan) and plan.meets(piece, reply=reply):
                self._meet(lane, plan, load, owner, reply=reply)
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
            plan = None if self._setup is None else plan_setup(self._setup, self.dialect, names)
            if plan is not None:
                self._setup = None
            turn.plan = plan or (choose(self.connection, self.dialect, turn, names) if names else None)
            return Load(piece._replace(data=data), fed=True)
        if answered is not None and turn is answered:
            return Load(piece, fed=False)
        return Load(piece._replace(data=self.framing.feed(lane.direction, piece.data)), fed=True)

    def _vanish(self, lane: Lane, piece: Piece, plan: Plan) -> None:
        """Nobody hears it. What was asked is evidence all the same."""
        if piece.data and not piece.part & Part.REPLY and lane is self.up:
            _, names = self.framing.name(lane.direction, piece.data)
            for name in names:
                self.framing.mark(name.unit.number, plan.toxic.fault)
            self.framing.swallow(lane.direction, len(piece.data))

    # -- acting -----------------------------------------------------------------------------------------------------

    def _meet(self, lane: Lane, plan: Plan, load: Load, turn: Turn, *, reply: bool) -> None:
        """A piece of what a plan is about."""
        piece = load.piece
        if plan.rest is not None:
            self._rest(lane, plan, load, turn, reply=reply)
        elif not plan.whole:
            self._act(lane, plan, load, turn, reply=reply)
        elif plan.gathered is not None and piece.part & Part.ITEM and plan.phase is Phase.DURING:
            self._act_gathered(lane, plan, turn, reply=reply)  # where the next one begins, the item is over
            self._meet(lane, plan, load, turn, reply=reply)
        else:
            self._gather(lane, plan, load)
            complete = plan.complete(piece, reply=reply, waits=turn.waits)
            if complete or len(plan.gathered or b"") >= WITHHELD_BYTES:
                if not complete and not self.dialect.ordered:
                    self._let_go(lane, plan)  # a part of it must not be passed by
                else:
                    self._act_gathered(lane, plan, turn, reply=reply)

    def _gather(self, lane: Lane, plan: Plan, load: Load) -> None:
        if plan.gathered is None or plan.kind is None:
            plan.gathered, plan.kind, lane.gathering = bytearray(), load, plan
        plan.gathered += load.piece.data
        part = plan.kind.piece.part | load.piece.part
        plan.kind = plan.kind._replace(piece=load.piece._replace(data=b"", part=part))

    def _gathered(self, lane: Lane, plan: Plan) -> Load:
        kind = plan.kind
        assert kind is not None
        data, plan.gathered, lane.gathering = bytes(plan.gathered or b""), None, None
        return kind._replace(piece=kind.piece._replace(data=data))

    def _act_gathered(self, lane: Lane, plan: Plan, turn: Turn, *, reply: bool) -> None:
        self._act(lane, plan, self._gathered(lane, plan), turn, reply=reply)

    def _let_go(self, lane: Lane, plan: Plan) -> None:
        """What was withheld goes on: the fault does not act."""
        plan.rest = Then.PASS
        lane.ready.append(self._gathered(lane, plan))

    def _act(self, lane: Lane, plan: Plan, load: Load, turn: Turn, *, reply: bool) -> None:
        do = plan.action.act(load.piece)
        if do is None:
            self.pass_on(lane, load)
            return
        self._tell_acted(plan)
        plan.rest, plan.answer = do.then, do.answer
        if do.then is Then.SWALLOW:
            self._swallow(lane, plan, load, turn, reply=reply)
        elif do.wait_ns:
            self._hold(lane, plan, load, do)
        else:
            self.pass_instead(lane, load, do.passes)
            if do.then in _ENDS:
                self.end_with(lane, _ENDS[do.then], plan)
            else:
                self.passed(lane, load.piece)

    def _tell_acted(self, plan: Plan) -> None:
        if plan.acted:
            return
        plan.acted = True
        plan.toxic.hits += 1
        fault = plan.toxic.fault
        for name in plan.names:
            self.framing.mark(name.unit.number, fault)
        self.framing.tell_acted(plan.name, fault, plan.what)

    def _rest(self, lane: Lane, plan: Plan, load: Load, turn: Turn, *, reply: bool) -> None:
        """A piece behind what the action was shown."""
        if plan.rest is Then.SWALLOW:
            self._swallow(lane, plan, load, turn, reply=reply)
        elif plan.rest is Then.AGAIN and plan.meets(load.piece, reply=reply):
            self._act(lane, plan, load, turn, reply=reply)
        else:
            self.pass_on(lane, load)

    def _hold(self, lane: Lane, plan: Plan, load: Load, do: Do) -> None:
        due_ns = self.now_ns + do.wait_ns
        size = len(load.piece.data)
        if self.dialect.ordered:
            lane.ready.append(load._replace(piece=load.piece._replace(data=do.passes)))
            lane.wait(plan, due_ns)
        else:
            token = self.framing.postpone(lane.direction, size) if load.fed else None
            lane.park(due_ns, load, plan, token)

    # -- swallowing -------------------------------------------------------------------------------------------------

    def _swallow(self, lane: Lane, plan: Plan, load: Load, turn: Turn, *, reply: bool) -> None:
        """Nothing of it passes: an error is told instead, or nothing at all."""
        part = load.piece.part
        proven = reply and plan.phase is Phase.AFTER and bool(part & Part.DONE)
        if proven and plan.answer is None and not load.fed:
            number = plan.name.unit.number if plan.name is not None else 0
            self.framing.swallow_answer(lane.direction, load.piece.data, number)
        else:
            self.swallow(lane, load)
        if plan.answer is not None:
            if not plan.refused and (reply or part & Part.LAST or turn.waits):
                self._refuse(plan, turn, plan.answer, done=reply)
            if reply and part & Part.DONE:
                self.close(turn)
        elif self.dialect.ordered:
            self._deafen(lane, plan, turn, reply=reply)
        elif not reply:
            self.dialect.forget(turn)

    def _refuse(self, plan: Plan, turn: Turn, answer: Answer, *, done: bool) -> None:
        plan.refused = True
        forged = self.dialect.refusal(turn, answer, done=done)
        if forged.to_callee:
            lane = self.lane(turn.direction)
            self.framing.insert(lane.direction, len(forged.to_callee))
            self.say(lane, forged.to_callee)
            self.hidden += 1
        if done or not self.dialect.ordered:
            # Of an answer that is swallowed nothing behind this is said.
            self.tell(turn, plan, forged, amid=not (done and self.dialect.ordered))
        else:
            plan.told = forged
            self.advance()

    def _deafen(self, lane: Lane, plan: Plan, turn: Turn, *, reply: bool) -> None:
        """A stream with a hole must not go on. What was asked before still has its answers."""
        lane.deaf = plan
        if reply or turn not in self.open:
            self.up.deaf = self.down.deaf = plan
        else:
            plan.lost = True
            self.advance()

    def forwarded(self, lane: Lane, turn: Turn) -> None:
        """A message that nobody answers was passed on: that is all the proof there is."""
        plan = turn.plan
        if turn.replies or not isinstance(plan, Plan) or plan.phase is not Phase.AFTER or plan.rest or plan.void:
            return
        self._act(lane, plan, Load(Piece(b"", turn), fed=True), turn, reply=True)
