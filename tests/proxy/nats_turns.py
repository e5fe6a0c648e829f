"""NATS streams cut into turns beside the framer that names them, as a connection does it."""

from __future__ import annotations

from typing import Any

from chaos.proxy.message.nats_dialect import NatsDialect
from chaos.proxy.message.turn import Part, Piece, Turn
from chaos.wire import NatsFramer
from tests.wire.nats_messages import Step


class Seated:
    """Framer and dialect of one connection; all that was fed and said. `names`: the rows that name messages, by the piece they came with."""

    def __init__(self) -> None:
        self.framer = NatsFramer("a>nats", 1, lambda _: None)
        self.dialect = NatsDialect(self.framer.subscription)
        self.framer.follow(self._follow)
        self.pieces: list[tuple[str, Piece]] = []
        self.names: list[list[str]] = []
        self.out = {">": b"", "<": b""}

    def _follow(self, row: tuple[Any, ...]) -> None:
        if row[1] in {"request", "ack"} and not row[6].startswith("~"):
            self.names[-1].append(row[6])

    def feed(self, direction: str, data: bytes) -> None:
        """Cut it, and show each piece to the framer."""
        for piece in (self.dialect.asked if direction == ">" else self.dialect.answered)(data):
            self.pieces.append((direction, piece))
            self.names.append([])
            if direction == ">":
                self.framer.feed_request(piece.data, 0)
                self.out[">"] += piece.data
            else:
                self.out["<"] += self.framer.feed_reply(piece.data, 0)

    def run(self, steps: list[Step], size: int = 1 << 30) -> Seated:
        """Feed all of it in pieces of that size."""
        for direction, data in steps:
            for at in range(0, len(data), size):
                self.feed(direction, data[at : at + size])
        return self

    def joined(self, direction: str) -> bytes:
        """What came out, and what is kept back."""
        cut = b"".join(piece.data for way, piece in self.pieces if way == direction)
        return cut + self.dialect.give_up(direction)

    def turns(self) -> list[tuple[str, str, str]]:
        """Direction, part and turns of each piece, as text; turns by the name of their first piece. What has none is left out."""
        names: dict[int, str] = {}
        told = []
        for (direction, piece), named in zip(self.pieces, self.names, strict=True):
            if piece.turn is None:
                continue
            if Part.FIRST in piece.part:
                names[id(piece.turn)] = named[0] if named else ""
            of = [_name(names, turn) for turn in (piece.turn, piece.answers) if turn is not None]
            told.append((direction, _text(piece.part), " answers ".join(of)))
        return told


def _name(names: dict[int, str], turn: Turn) -> str:
    return names[id(turn)]


def _text(part: Part) -> str:
    return " ".join(one.name.lower() for one in Part if one and one in part and one.name)
