"""CPU for a framed message: the framers alone, in this process, on streams as the drivers send them; prints one table.

    python benchmarks/framing.py [--rounds 7] [--messages 20000] [--records] [--drivers]

Each shape is fed as it comes on the wire: one message to a chunk, and many in 64 KiB chunks. CPU time of the framing and of making
the records, without sockets; with `--records` the wire log's encoding in batches of 100 is counted too. The cost of looking at the
clock once a chunk is included. Medians of interleaved rounds; CPU time may gate, the target is 1.5 us for a plain message.

`--drivers` runs asyncpg and nats-py against real servers through one proxy process instead, on a link of bytes and on a framed one:
operations a second (wall, reported only) and the proxy's own CPU for each. Target: a framed link has 0.8 of the rate.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import nats as nats_py
from passthrough import cpu_s, free_port, link, started

from chaos.system import make_scratch, open_children, reserve_port, start_nats, start_postgres
from chaos.system.ports import Address
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


class Yardstick:
    """The least that Python can do for a message: find its line, split it, append a record. Tells one machine from another."""

    def __init__(self, emit: Callable[[tuple[Any, ...]], None]) -> None:
        self._emit = emit

    def feed_request(self, data: bytes, t_ns: int) -> None:
        """One message, or many one after the other."""
        for at in range(0, len(data) - 83, 84):
            args = data[: data.find(b"\n")].split()
            self._emit((t_ns, "request", "a>nats", 1, at, ">", args[-1:], len(data)))

    feed_reply = feed_request


SHAPES = (
    Shape("yardstick", Yardstick, lambda _: [(">", b"PUB tasks.run 64\r\n" + bytes(64) + b"\r\n")], 1),
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


# Real drivers through a proxy process.


async def postgres_queries(dsn: str, count: int) -> None:
    """Prepared queries, one after the other."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        statement = await connection.prepare("SELECT $1::int")
        for number in range(count):
            await statement.fetch(number)
    finally:
        await connection.close(timeout=10)


async def nats_requests(url: str, count: int) -> None:
    """Requests with a trace, answered by a subscriber on the same connection."""
    client = await nats_py.connect(url, connect_timeout=10)
    try:

        async def answer(message: Any) -> None:
            await message.respond(b"x")

        await client.subscribe("bench.sum", cb=answer)
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        for _ in range(count):
            await client.request("bench.sum", b"x", timeout=10, headers=headers)
    finally:
        await client.close()


async def drivers(rounds: int, count: int) -> None:
    """Bring servers and proxy up, interleave the links, print medians."""
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="framing-")))
        holds = [stack.enter_context(reserve_port()) for _ in range(3)]
        async with open_children(make_scratch("bench"), logs) as children:
            database = await start_postgres(children, holds[0], logs / "postgres.log")
            broker = await start_nats(children, holds[1], holds[2], logs / "nats.log")
            api = free_port()
            argv = [sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", str(api)]
            pid = await asyncio.to_thread(stack.enter_context, started(argv, api))
            loads: list[tuple[str, str, Callable[[], Any]]] = []
            for name, server, protocol, load in (
                ("asyncpg, prepared", database, "postgres", postgres_queries),
                ("nats-py, request with trace", broker, "nats", nats_requests),
            ):
                for framing in ("tcp", protocol):
                    port = link(api, f"{protocol}-{framing}", server.address.port, protocol=framing)
                    address = Address("127.0.0.1", port)
                    url = database.dsn_through(address) if protocol == "postgres" else broker.url_through(address)
                    loads.append((name, framing, partial(load, url.reveal(), count)))
            found: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for _ in range(rounds):
                for name, framing, load_once in loads:
                    before, start_s = cpu_s(pid), time.perf_counter()
                    await load_once()
                    took_s = time.perf_counter() - start_s
                    found.setdefault((name, framing), []).append((count / took_s, (cpu_s(pid) - before) / count * 1e6))
    print(f"{'driver':32}{'link':12}{'op/s':>10}{'proxy CPU us/op':>18}")
    for (name, framing), rates in found.items():
        rate, cpu = (statistics.median(one[at] for one in rates) for at in (0, 1))
        print(f"{name:32}{framing:12}{rate:10.0f}{cpu:18.1f}")


def main() -> None:
    """Interleave the shapes round by round, print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--records", action="store_true", help="count the encoding of records too")
    parser.add_argument("--drivers", action="store_true", help="real drivers and servers through a proxy process")
    given = parser.parse_args()
    if given.drivers:
        asyncio.run(drivers(given.rounds, given.messages // 10))
        return
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
