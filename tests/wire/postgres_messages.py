"""PostgreSQL messages as bytes, and a start-up: what conversations are put together from."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from random import Random

Step = tuple[str, bytes]
"""Direction and bytes."""


def message(kind: str, body: bytes = b"") -> bytes:
    """A message with its type and length."""
    return kind.encode() + struct.pack(">I", len(body) + 4) + body


def query(sql: str) -> bytes:
    """A simple query."""
    return message("Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    """Parse."""
    return message("P", f"{name}\0{sql}\0".encode() + b"\0\0")


def bind(statement: str, portal: str = "") -> bytes:
    """Bind with one parameter."""
    return message("B", f"{portal}\0{statement}\0".encode() + b"\0\0\0\1\0\0\0\6secret\0\0")


def execute(portal: str = "") -> bytes:
    """Execute."""
    return message("E", portal.encode() + b"\0\0\0\0\0")


def describe(name: str = "", kind: str = "S") -> bytes:
    """Describe."""
    return message("D", f"{kind}{name}\0".encode())


def done(tag: str) -> bytes:
    """CommandComplete."""
    return message("C", tag.encode() + b"\0")


def failed(code: str) -> bytes:
    """ErrorResponse."""
    return message("E", f"SERROR\0VERROR\0C{code}\0Mno C12345 here\0\0".encode())


def ready(state: str = "I") -> bytes:
    """ReadyForQuery."""
    return message("Z", state.encode())


SYNC, FLUSH = message("S"), message("H")
STARTUP = struct.pack(">II", 23, 196608) + b"user\0me\0db\0x\0\0\0"[:15]
KEY = message("K", struct.pack(">II", 4711, 99))
WELCOME = message("R", b"\0\0\0\0") + message("S", b"a\0b\0") + KEY + message("N", b"SNOTICE\0C01000\0Mx\0\0") + ready()
SSL = struct.pack(">II", 8, 80877103)
GSS = struct.pack(">II", 8, 80877104)
CANCEL = struct.pack(">IIII", 16, 80877102, 4711, 99)
OPENED: list[Step] = [(">", STARTUP), ("<", WELCOME)]
ROW = message("T", b"\0\0") + message("D", b"\0\0")


def cut_anywhere(steps: Iterable[Step], seed: int) -> Iterator[Step]:
    """The same bytes, each step in up to six pieces."""
    random = Random(seed)
    for way, step in steps:
        marks = sorted(random.choices(range(len(step) + 1), k=random.randrange(6)))
        for start, stop in itertools.pairwise([0, *marks, len(step)]):
            yield way, step[start:stop]


def cut_at_each_byte(steps: list[Step]) -> Iterator[list[Step]]:
    """The same conversation again and again, one of its steps in two pieces, cut at each of its bytes in turn."""
    for index, (way, data) in enumerate(steps):
        for at in range(1, len(data)):
            yield [*steps[:index], (way, data[:at]), (way, data[at:]), *steps[index + 1 :]]
