"""HTTP conversations as bytes, and what a cutter makes of them byte by byte."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from hypothesis import strategies as st

from chaos.proxy.message.http_dialect import HttpDialect
from chaos.proxy.message.turn import Part, Piece, Turn


class Exchange(NamedTuple):
    """A request and its response. `items` are the response's, as offsets into it, each with its end."""

    request: bytes
    response: bytes
    items: tuple[tuple[int, int], ...] = ()


def get(target: str = "/", headers: str = "") -> bytes:
    """A request without a body."""
    return f"GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()


def post(body: bytes, target: str = "/", headers: str = "") -> bytes:
    """A request with a body of a known length."""
    return f"POST {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"


def ok(body: bytes, headers: str = "") -> bytes:
    """A response of a known length."""
    return f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def stream(*chunks: bytes, kind: str = "text/plain") -> bytes:
    """A chunked response."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + chunked(*chunks)


def of_chunks(chunks: list[bytes]) -> Exchange:
    """A chunked response: each chunk is an item, its framing included."""
    response = stream(*chunks)
    start = response.index(b"\r\n\r\n") + 4
    items = []
    for chunk in chunks:
        stop = start + len(b"%x\r\n" % len(chunk)) + len(chunk) + 2
        items.append((start, stop))
        start = stop
    return Exchange(get("/chunks"), response, tuple(items))


PLAIN = [
    Exchange(get(), ok(b"")),
    Exchange(get("/a"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    Exchange(get().replace(b"GET", b"HEAD"), ok(b"four").removesuffix(b"four")),
    Exchange(post(b"x" * 40), b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 204 No Content\r\n\r\n"),
    Exchange(b"\r\n" + get("/b").replace(b"\r\n", b"\n"), b"\r\n" + ok(b"bare").replace(b"\r\n", b"\n")),
    Exchange(b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc", b"d" * 20), ok(b"done")),
]

exchanges = st.one_of(
    st.sampled_from(PLAIN),
    st.binary(min_size=1, max_size=200).map(lambda body: Exchange(post(body), ok(body))),
    st.lists(st.binary(min_size=1, max_size=40), max_size=5).map(of_chunks),
)


def parts(data: bytes, cuts: list[int]) -> list[bytes]:
    """The stream in pieces."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:stop] for start, stop in pairwise(places)]


class Seen:
    """What a cutter says of the bytes of both directions: for each byte its turn and item, and the offsets of all marks."""

    def __init__(self) -> None:
        self.dialect = HttpDialect()
        self.turns: dict[int, int] = {}
        self.kept: list[Turn] = []
        self.out = {">": b"", "<": b""}
        self.bytes: dict[str, list[tuple[int, int, bool, bool]]] = {">": [], "<": []}
        self.marks: set[tuple[str, int, int, Part]] = set()

    def number(self, turn: Turn | None) -> int:
        """Turns from 1, 0 for none."""
        if turn is None:
            return 0
        self.kept.append(turn)
        return self.turns.setdefault(id(turn), len(self.turns) + 1)

    def take(self, direction: str, pieces: list[Piece]) -> None:
        """Note pieces."""
        for piece in pieces:
            turn = self.number(piece.turn)
            start = len(self.out[direction])
            self.out[direction] += piece.data
            told = (turn, piece.item, bool(piece.part & Part.PAYLOAD), bool(piece.part & Part.REPLY))
            self.bytes[direction] += [told] * len(piece.data)
            for part in (Part.FIRST, Part.ITEM):
                if piece.part & part:
                    self.marks.add((direction, turn, start, part))
            for part in (Part.LAST, Part.DONE, Part.ENDS):
                if piece.part & part:
                    self.marks.add((direction, turn, len(self.out[direction]), part))

    def feed(self, direction: str, data: bytes) -> None:
        """Cut a part of the stream."""
        self.take(direction, self.dialect.asked(data) if direction == ">" else self.dialect.answered(data))

    def end(self) -> Seen:
        """Both directions are over."""
        for direction in "><":
            self.take(direction, self.dialect.ended(direction))
        return self

    def same(self) -> tuple[object, ...]:
        """All of it, for comparison."""
        return self.out, self.bytes, self.marks


def seen(requests: list[bytes], responses: list[bytes]) -> Seen:
    """Both streams, in parts: first all that is asked."""
    one = Seen()
    for data in requests:
        one.feed(">", data)
    for data in responses:
        one.feed("<", data)
    return one.end()
