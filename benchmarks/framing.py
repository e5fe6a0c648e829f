"""CPU for a framed message: the framers alone, in this process, on streams as the drivers send them; prints one table.

    python benchmarks/framing.py [--rounds 7] [--messages 20000] [--records]

Each shape is fed as it comes on the wire: one message to a chunk, and many in 64 KiB chunks. CPU time of the framing and of making
the records, without sockets; with `--records` the wire log's encoding in batches of 100 is counted too. The cost of looking at the
clock once a chunk is included. Medians of interleaved rounds; CPU time may gate, the target is 1.5 us for a plain message.
"""

from __future__ import annotations

import argparse
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from chaos.wire import Http1Framer, NatsFramer, PostgresFramer

Step = tuple[str, bytes]
TRACE = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"


@dataclass(frozen=True)
class Shape:
    """`steps` is one turn of a conversation, `messages` how many framed messages it has; `begin` comes once."""

    name: str
    framer: Callable[[Callable[[tuple[Any, ...]], None]], Any]
    steps: Callable[[int], Sequence[Step]]
    messages: int
    begin: Sequence[Step] = ()


def pg(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack(">I", len(body) + 4) + body


STARTUP = (">", struct.pack(">II", 8, 196608))
WELCOME = ("<", pg("R", b"\0\0\0\0") + pg("Z", b"I"))
EXECUTE = pg("B", b"\0s\0\0\0\0\1\0\0\0\4\0\0\0\1\0\0") + pg("E", b"\0\0\0\0\0") + pg("S")
EXECUTED = pg("2") + pg("D", bytes(40)) + pg("C", b"SELECT 1\0") + pg("Z", b"I")
HEADERS = b"NATS/1.0\r\n" + TRACE + b"\r\n"
HTTP = b"GET /v1/documents/4711 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n" + TRACE + b"\r\n"
HTTP_REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" + b"x" * 25


def hpub(subject: bytes, reply: bytes, payload: bytes) -> bytes:
    sizes = b"%d %d" % (len(HEADERS), len(HEADERS) + len(payload))
    return b" ".join(part for part in (b"HPUB", subject, reply, sizes) if part) + b"\r\n" + HEADERS + payload + b"\r\n"


def nats(emit: Any) -> NatsFramer:
    return NatsFramer("a>nats", 1, emit)


def postgres(emit: Any) -> PostgresFramer:
    return PostgresFramer("a>postgres", 1, emit)


SHAPES = (
    Shape("nats PUB, 64 B", nats, lambda _: [(">", b"PUB tasks.run 64\r\n" + bytes(64) + b"\r\n")], 1),
    Shape("nats MSG, 64 B", nats, lambda _: [("<", b"MSG tasks.run 9 64\r\n" + bytes(64) + b"\r\n")], 1),
    Shape("nats HPUB with trace", nats, lambda _: [(">", hpub(b"tasks.run", b"", bytes(64)))], 1),
    Shape(
        "nats request and answer",
        nats,
        lambda n: [(">", b"PUB rpc.sum _INBOX.a.%d 2\r\nhi\r\n" % n), ("<", b"MSG _INBOX.a.%d 9 2\r\nho\r\n" % n)],
        2,
    ),
    Shape(
        "postgres Bind/Execute/Sync and rows",
        postgres,
        lambda _: [(">", EXECUTE), ("<", EXECUTED)],
        7,
        (STARTUP, WELCOME, (">", pg("P", b"s\0SELECT $1\0\0\0"))),
    ),
    Shape(
        "postgres simple query",
        postgres,
        lambda _: [(">", pg("Q", b"SELECT a FROM t\0")), ("<", EXECUTED[5:])],
        4,
        (STARTUP, WELCOME),
    ),
    Shape(
        "postgres rows of 40 B",
        postgres,
        lambda _: [("<", pg("D", bytes(35)) * 100)],
        100,
        (STARTUP, WELCOME, (">", pg("Q", b"SELECT a FROM t\0"))),
    ),
    Shape(
        "http exchange with trace",
        lambda emit: Http1Framer("a>b", 1, emit),
        lambda _: [(">", HTTP), ("<", HTTP_REPLY)],
        2,
    ),
)


def measure(shape: Shape, messages: int, *, bulk: bool, encode: bool) -> float:
    """Microseconds of CPU for one message."""
    rows: list[tuple[Any, ...]] = []
    encoder = msgspec.msgpack.Encoder()
    framer = shape.framer(rows.append)
    feeds = {">": framer.feed_request, "<": framer.feed_reply}
    for direction, data in shape.begin:
        feeds[direction](data, 0)
    turns = messages // shape.messages
    steps = [step for turn in range(turns) for step in shape.steps(turn)]
    if bulk:
        steps = [
            (direction, joined[at : at + 65_536])
            for direction in "><"
            for joined in [b"".join(data for way, data in steps if way == direction)]
            for at in range(0, len(joined), 65_536)
        ]
    now_ns = time.monotonic_ns
    start_ns = time.process_time_ns()
    for direction, data in steps:
        feeds[direction](data, now_ns())
        if len(rows) >= 100:
            if encode:
                encoder.encode(rows)
            rows.clear()
    return (time.process_time_ns() - start_ns) / 1000 / (turns * shape.messages)


def main() -> None:
    """Interleave the shapes round by round, print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--records", action="store_true", help="count the encoding of records too")
    given = parser.parse_args()
    found: dict[tuple[str, bool], list[float]] = {}
    for _ in range(given.rounds):
        for shape in SHAPES:
            for bulk in (False, True):
                # What is pipelined beyond the framers' bounds is not framed any more: bulk in bounded windows.
                count = min(given.messages, 2_000) if bulk else given.messages
                cost = measure(shape, count, bulk=bulk, encode=given.records)
                found.setdefault((shape.name, bulk), []).append(cost)
    print(f"{'CPU us for a message':40}{'one to a chunk':>16}{'64 KiB chunks':>16}")
    for shape in SHAPES:
        single, many = (statistics.median(found[shape.name, bulk]) for bulk in (False, True))
        print(f"{shape.name:40}{single:16.2f}{many:16.2f}")


if __name__ == "__main__":
    main()
