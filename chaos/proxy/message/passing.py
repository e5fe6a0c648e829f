"""What message faults let pass: told to the framer, given to the pipes, in the order in which it was said."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from chaos.proxy.message.framing import Framing
from chaos.proxy.message.lane import Lane, Lead
from chaos.proxy.message.plan import Load, Plan
from chaos.proxy.message.turn import Dialect, Forged, Part, Piece, Turn
from chaos.proxy.stage import End, Item

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["Passing", "answered_by"]


class Passing:
    """What a director says, and what is still to be answered: `open` turns, oldest first, where answers come in order.

    `holes`: what swallowed something that the connection cannot do without once the fault is over, although it goes on until then.
    """

    def __init__(self, connection: Connection, framing: Framing, dialect: Dialect) -> None:
        self.connection = connection
        self.framing = framing
        self.dialect = dialect
        self.lead = Lead()
        self.open: deque[Turn] = deque()
        self.holes: dict[Toxic, Plan] = {}
        self.over = False
        self.hidden = 0
        self.now_ns = 0
        self._outbox: list[tuple[Lane, Item]] = []

    # Set by the director, which makes the lanes.
    up: Lane
    down: Lane

    def lane(self, direction: str) -> Lane:
        """The lane of that direction."""
        return self.up if direction == ">" else self.down

    # -- saying -----------------------------------------------------------------------------------------------------

    def say(self, lane: Lane, item: Item) -> None:
        """It goes on, behind what was said before."""
        self._outbox.append((lane, item))

    def end_with(self, lane: Lane, end: End, plan: Plan) -> None:
        """The connection ends because of that fault."""
        self.lead.fault = plan.toxic.fault
        self.say(lane, end)
        self.over = True

    def flush(self) -> None:
        """Give the pipes what was said."""
        for lane in (self.up, self.down):
            lane.settle(self.dialect.kept(lane.direction), self.now_ns, amid=self.dialect.amid(lane.direction))
        out, self._outbox = self._outbox, []
        at = 0
        while at < len(out):
            lane, items = out[at][0], [out[at][1]]
            at += 1
            while at < len(out) and out[at][0] is lane:
                items.append(out[at][1])
                at += 1
            lane.pipe.give(self.lead, _joined(items), self.now_ns)

    # -- passing ----------------------------------------------------------------------------------------------------

    def pass_on(self, lane: Lane, load: Load) -> None:
        """A piece as it is."""
        piece = load.piece
        self.say(lane, piece.data if load.fed else self.framing.feed(lane.direction, piece.data))
        self.passed(lane, piece)

    def pass_instead(self, lane: Lane, load: Load, data: bytes) -> None:
        """Other bytes in a piece's place: the framer is told how many of its own leave."""
        size, fed = len(load.piece.data), load.fed
        self.say(lane, data if fed else self.framing.feed(lane.direction, data[:size]) + data[size:])
        if len(data) > size:
            self.framing.insert(lane.direction, len(data) - size)
        elif fed and len(data) < size:
            self.framing.swallow(lane.direction, size - len(data))

    def passed(self, lane: Lane, piece: Piece) -> None:
        """A piece was passed on, or something in its place."""
        answered = answered_by(piece)
        if answered is not None and piece.part & Part.DONE:
            self.close(answered)
        if piece.turn is not None and piece.turn is not answered and piece.part & Part.LAST:
            self.forwarded(lane, piece.turn)

    def forwarded(self, lane: Lane, turn: Turn) -> None:
        """All of a request was passed on."""
        raise NotImplementedError

    def swallow(self, lane: Lane, load: Load) -> None:
        """Nothing of a piece passes."""
        if load.fed and load.piece.data:
            self.framing.swallow(lane.direction, len(load.piece.data))

    def vanish(self, lane: Lane, piece: Piece, plan: Plan) -> None:
        """Nobody hears it. What was asked is evidence all the same."""
        if piece.data and not piece.part & Part.REPLY and lane is self.up:
            _, names = self.framing.name(lane.direction, piece.data)
            for name in names:
                self.framing.mark(name.unit.number, plan.toxic.fault)
            self.framing.swallow(lane.direction, len(piece.data))

    def unpark(self, lane: Lane) -> None:
        """Messages that others passed by go now, if their time has come and nothing is in the midst of being said."""
        while lane.parked and not self.dialect.amid(lane.direction):
            one = lane.unpark(self.now_ns)
            if one is None:
                return
            if one.token is not None:
                self.framing.resume(lane.direction, len(one.load.piece.data), one.token)
            self.pass_on(lane, one.load)

    # -- answers in order -------------------------------------------------------------------------------------------

    def close(self, turn: Turn) -> None:
        """A turn has its answer."""
        if self.open and self.open[0] is turn:
            self.open.popleft()
            self.advance()
        elif turn in self.open:
            self.open.remove(turn)

    def advance(self) -> None:
        """The oldest turn may be one whose answer is ours, or will never come."""
        while self.open:
            turn = self.open[0]
            plan = turn.plan
            if not isinstance(plan, Plan):
                return
            if plan.lost:
                self.down.deaf = plan
                return
            if plan.told is None:
                return
            self.open.popleft()
            forged, plan.told = plan.told, None
            self.tell(turn, plan, forged, amid=True)

    def tell(self, turn: Turn, plan: Plan, forged: Forged, *, amid: bool) -> None:
        """Say something to who asked, in the callee's place; once a message is over if what came so far may end `amid` one."""
        lane = self.down if turn.direction == ">" else self.up
        load = Load(Piece(forged.to_asker), fed=False)
        if forged.to_asker and amid and self.dialect.amid(lane.direction):
            lane.park(self.now_ns, load, plan, None)
        elif forged.to_asker:
            self.pass_on(lane, load)
        if forged.closes:
            self.end_with(lane, End.CLOSE, plan)


def answered_by(piece: Piece) -> Turn | None:
    """The turn that this piece is of the answer to."""
    if piece.answers is not None:
        return piece.answers
    return piece.turn if piece.part & Part.REPLY else None


def _joined(items: list[Item]) -> list[Item]:
    """Fewer writes: bytes in a row are one chunk."""
    if len(items) < 2:
        return items
    joined: list[Item] = []
    run: list[bytes] = []
    for item in items:
        if isinstance(item, bytes):
            run.append(item)
            continue
        if run:
            joined.append(b"".join(run))
            run = []
        joined.append(item)
    if run:
        joined.append(b"".join(run))
    return joined
