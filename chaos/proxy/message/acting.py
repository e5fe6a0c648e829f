"""What becomes of the pieces that a message fault is about: gathered, shown to its action, passed, held, swallowed, answered."""

from __future__ import annotations

from chaos.model.fault_kind import Phase
from chaos.proxy.message.action import Do, Then
from chaos.proxy.message.lane import Lane
from chaos.proxy.message.passing import Passing
from chaos.proxy.message.plan import WITHHELD_BYTES, Load, Plan
from chaos.proxy.message.turn import Answer, Part, Piece, Turn
from chaos.proxy.stage import End

__all__ = ["Acting"]

_ENDS = {Then.FIN: End.CLOSE, Then.RST: End.CUT}


class Acting(Passing):
    """Does what actions say. `reply` says everywhere whether the pieces are of a turn's answer or of its request."""

    def meet(self, lane: Lane, plan: Plan, load: Load, turn: Turn, *, reply: bool) -> None:
        """A piece of what a plan is about."""
        piece = load.piece
        if plan.rest is not None:
            self._rest(lane, plan, load, turn, reply=reply)
        elif not plan.whole:
            self._act(lane, plan, load, turn, reply=reply)
        elif plan.gathered is not None and piece.part & Part.ITEM and plan.phase is Phase.DURING:
            self._act_gathered(lane, plan, turn, reply=reply)  # where the next one begins, the item is over
            self.meet(lane, plan, load, turn, reply=reply)
        else:
            self._gather(lane, plan, load)
            complete = plan.complete(piece, reply=reply, waits=turn.waits)
            if complete or len(plan.gathered or b"") >= WITHHELD_BYTES:
                if not complete and not self.dialect.ordered:
                    self.let_go(lane, plan)  # a part of it must not be passed by
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
        data, plan.gathered, plan.kind, lane.gathering = bytes(plan.gathered or b""), None, None, None
        return kind._replace(piece=kind.piece._replace(data=data))

    def _act_gathered(self, lane: Lane, plan: Plan, turn: Turn, *, reply: bool) -> None:
        self._act(lane, plan, self._gathered(lane, plan), turn, reply=reply)

    def let_go(self, lane: Lane, plan: Plan) -> None:
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
            self.pass_instead(lane, load, self.dialect.garbled(load.piece) if do.garbled else do.passes)
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
        if self.over:
            return
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
            if turn.lasts:
                self.holes.setdefault(plan.toxic, plan)

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

    def lose(self) -> None:
        """Nobody can tell any more where an answer ends of which the rest was to be swallowed, as an error was told in its place."""
        plans = [turn.plan for turn in self.open if isinstance(turn.plan, Plan)]
        lost = next((plan for plan in plans if plan.refused and plan.told is None and plan.rest is Then.SWALLOW), None)
        if lost is not None and not self.over:
            self.end_with(self.down, End.RESET, lost)

    def forwarded(self, lane: Lane, turn: Turn) -> None:
        """A message that nobody answers was passed on: that is all the proof there is."""
        plan = turn.plan
        if turn.replies or not isinstance(plan, Plan) or plan.phase is not Phase.AFTER or plan.rest or plan.void:
            return
        self._act(lane, plan, Load(Piece(b"", turn), fed=True), turn, reply=True)
