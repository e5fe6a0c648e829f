"""Postgres streams cut into turns, each piece told with the turn, item and parts that it is of."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.proxy.message.postgres_dialect import PostgresDialect
from chaos.proxy.message.turn import Part, Piece, Turn
from tests.wire.postgres_messages import Step, message

Cut = tuple[str, int, bytes, int, Part]
"""Direction, number of the turn (0: none), bytes, item, parts."""

DATA = message("D", b"\0\1\0\0\0\3abc")
NOTICE, STATUS, NEWS = message("N", b"SNOTICE\0\0"), message("S", b"a\0b\0"), message("A", b"\0\0\0\7news\0x\0")
ONE, TWO, ASKS, NO_DATA = message("1"), message("2"), message("G", b"\0\0\0"), message("n")
KNOWN = message("t", b"\0\0")
WHOLE = Part.FIRST | Part.LAST | Part.PAYLOAD
REPLY, OVER = Part.REPLY, Part.REPLY | Part.DONE
TEXT = Part.REPLY | Part.PAYLOAD
ITEM = TEXT | Part.ITEM | Part.ENDS


def cut(steps: Iterable[Step], *, opened: bool = True) -> list[Cut]:
    """Every piece of a conversation; what is kept back to the end is of no turn."""
    dialect, turns = PostgresDialect(opened=opened), dict[int, int]()
    kept: list[Turn] = []  # so that no address is given twice

    def number(turn: Turn | None) -> int:
        if turn is None:
            return 0
        kept.append(turn)
        return turns.setdefault(id(turn), len(turns) + 1)

    def told(direction: str, pieces: list[Piece]) -> list[Cut]:
        for piece in pieces:
            if piece.turn is not None:
                piece.turn.plan = "a fault that counts rows"
        return [(direction, number(piece.turn), piece.data, piece.item, piece.part) for piece in pieces]

    found: list[Cut] = []
    for direction, data in steps:
        found += told(direction, dialect.asked(data) if direction == ">" else dialect.answered(data))
    for direction in "><":
        found += told(direction, dialect.ended(direction))
    return found


def joined(cuts: list[Cut], direction: str) -> list[Cut]:
    """One direction's pieces, those of one turn and item in a row as one."""
    found: list[Cut] = []
    for way, turn, data, item, part in cuts:
        if way != direction:
            continue
        more = found and found[-1][1] == turn and found[-1][3] == item and not found[-1][4] & Part.LAST
        if more and not part & Part.ITEM:
            found[-1] = (way, turn, found[-1][2] + data, item, found[-1][4] | part)
        else:
            found.append((way, turn, data, item, part))
    return found


def both(steps: Iterable[Step], *, opened: bool = True) -> list[Cut]:
    """Both directions, joined."""
    cuts = cut(steps, opened=opened)
    return joined(cuts, ">") + joined(cuts, "<")
