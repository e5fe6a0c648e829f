"""Pass-through side by side: direct, a real Toxiproxy (where one is given) and ours, interleaved, pinned; prints one table.

    python benchmarks/passthrough.py [--toxiproxy FILE] [--rounds 5] [--quick]

Round trips of 64 bytes each way (HTTP, so that framing finds something) run with client, proxy and echo server on one core. Messages at 100 connections and bulk run with the
proxy alone on its core. Wall times are reported only; the CPU columns are the proxy process's own time and compare across loads.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

MESSAGE = b"GET /v1/documents/4711 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nA: bc\r\n\r\n"
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" + b"x" * 25


@dataclass(frozen=True)
class Route:
    """One way to the echo server. `pid` is the proxy's, 0 without one."""

    name: str
    port: int
    pid: int

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    round_trips: int
    messages: int
    bulk_bytes: int


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    if pid == 0:
        return 0.0
    total_ns = 0
    for thread in threads(pid):
        try:
            total_ns += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total_ns / 1e9


def threads(pid: int) -> list[Path]:
    """The threads of a process as /proc shows them."""
    return list(Path(f"/proc/{pid}/task").iterdir())


def pin(pid: int, cores: set[int]) -> None:
    """All threads of a process on these cores."""
    for thread in threads(pid):
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            continue


# The echo server: a process of its own, one epoll loop.


def serve_echo(listening: socket.socket) -> None:
    """Answer each request; `B` and a number asks for that many bytes instead."""
    poll = selectors.DefaultSelector()
    listening.setblocking(False)
    poll.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if sock is listening:
                accepted, _ = listening.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poll.register(accepted, selectors.EVENT_READ)
                continue
            try:
                data = sock.recv(65536)
                if data[:1] == b"B":
                    feed(sock, int(data[1:]))
                elif data:
                    sock.sendall(REPLY)
            except OSError:
                data = b""
            if not data:
                poll.unregister(sock)
                sock.close()


def feed(sock: socket.socket, size: int) -> None:
    """Send that many bytes, blocking."""
    sock.setblocking(True)
    chunk = bytes(256 * 1024)
    while size > 0:
        sock.sendall(chunk[:size])
        size -= len(chunk)
    sock.setblocking(False)


@contextmanager
def echo_server() -> Iterator[tuple[int, int]]:
    """Port and pid."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    pid = os.fork()
    if pid == 0:
        serve_echo(listening)
        os._exit(0)
    port = listening.getsockname()[1]
    listening.close()
    try:
        yield port, pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


# The proxies: both driven over the same API.


@contextmanager
def started(argv: list[str], api_port: int) -> Iterator[int]:
    """A proxy process, once its API answers; its pid."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", api_port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{argv[0]} does not answer on port {api_port}") from None
                time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def call(api_port: int, path: str, body: dict[str, object]) -> dict[str, object]:
    """POST to a proxy's API."""
    request = urllib.request.Request(f"http://127.0.0.1:{api_port}{path}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        answer: dict[str, object] = json.load(reply)
        return answer


def link(api_port: int, name: str, upstream: int, *, toxic: str = "", **extension: object) -> int:
    """Create a proxy, with a toxic that touches every chunk and changes nothing; its port."""
    made = call(
        api_port, "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}", **extension}
    )
    for stream in ("upstream", "downstream") if toxic else ():
        call(api_port, f"/proxies/{name}/toxics", {"type": toxic, "stream": stream})
    return int(str(made["listen"]).rpartition(":")[2])


# The loads.


def round_trips(path: Route, load: Load) -> tuple[float, float]:
    """Median microseconds of a 64-byte round trip, and proxy CPU microseconds for one."""
    with path.connect() as sock:
        times = []
        before = cpu_s(path.pid)
        for _ in range(load.round_trips):
            start_ns = time.perf_counter_ns()
            sock.sendall(MESSAGE)
            sock.recv(64)
            times.append(time.perf_counter_ns() - start_ns)
        used = cpu_s(path.pid) - before
    return statistics.median(times) / 1000, used / load.round_trips * 1e6


def messages(path: Route, load: Load, *, connections: int = 100) -> tuple[float, float]:
    """Messages a second over so many connections with one outstanding each, and proxy CPU microseconds for a round trip."""
    with ExitStack() as stack:
        poll = stack.enter_context(selectors.DefaultSelector())
        socks = [stack.enter_context(path.connect()) for _ in range(connections)]
        for sock in socks:
            sock.sendall(MESSAGE)
            sock.recv(64)
            poll.register(sock, selectors.EVENT_READ)
        before, start_s, done = cpu_s(path.pid), time.perf_counter(), 0
        for sock in socks:
            sock.send(MESSAGE)
        while done < load.messages:
            for key, _ in poll.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                sock.recv(64)
                sock.send(MESSAGE)
                done += 1
        took_s, used = time.perf_counter() - start_s, cpu_s(path.pid) - before
    return done / took_s, used / done * 1e6


def bulk(path: Route, load: Load) -> tuple[float, float]:
    """MB a second downstream, and proxy CPU milliseconds for 100 MB."""
    with path.connect() as sock:
        before, start_s, got = cpu_s(path.pid), time.perf_counter(), 0
        sock.sendall(b"B%d" % load.bulk_bytes)
        while got < load.bulk_bytes:
            got += len(sock.recv(262_144))
        took_s, used = time.perf_counter() - start_s, cpu_s(path.pid) - before
    return got / took_s / 1e6, used / got * 1e11


Measure = Callable[[Route, Load], tuple[float, float]]
MEASURES: tuple[tuple[str, Measure, bool, str, str], ...] = (
    ("64 B round trip, one core", round_trips, True, "us p50", "cpu us"),
    ("100 connections", messages, False, "msg/s", "cpu us"),
    ("bulk", bulk, False, "MB/s", "cpu ms/100MB"),
)


def run(paths: list[Route], echo_pid: int, rounds: int, load: Load) -> None:
    """Interleave the paths round by round, print medians."""
    cores = sorted(os.sched_getaffinity(0))
    print(f"{'measure':28}{'path':24}{'wall':>12}{'cpu':>14}")
    for title, measure, one_core, unit, cpu_unit in MEASURES:
        own, others = {cores[0]}, {cores[0]} if one_core else {cores[-1]}
        os.sched_setaffinity(0, others)
        pin(echo_pid, others)
        results: dict[str, list[tuple[float, float]]] = {path.name: [] for path in paths}
        for _ in range(rounds):
            for path in paths:
                if path.pid:
                    pin(path.pid, own)
                results[path.name].append(measure(path, load))
        for path in paths:
            wall = statistics.median(one[0] for one in results[path.name])
            cpu = statistics.median(one[1] for one in results[path.name])
            print(f"{title:28}{path.name:24}{wall:9.1f} {unit:7}{cpu:7.1f} {cpu_unit}")
        print()


def main() -> None:
    """Start everything, measure, stop everything."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--toxiproxy", default=shutil.which("toxiproxy-server"), help="a toxiproxy-server binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    given = parser.parse_args()
    load = Load(300, 2000, 30_000_000) if given.quick else Load(3000, 20_000, 300_000_000)
    with ExitStack() as stack:
        echo_port, echo_pid = stack.enter_context(echo_server())
        paths = [Route("direct", echo_port, 0)]
        servers = [("ours", [sys.executable, "-m", "chaos.proxy"])]
        if given.toxiproxy:
            servers.insert(0, ("toxiproxy", [given.toxiproxy]))
        for name, argv in servers:
            api = free_port()
            pid = stack.enter_context(started([*argv, "-host", "127.0.0.1", "-port", str(api)], api))
            paths.append(Route(name, link(api, "plain", echo_port), pid))
            paths.append(Route(f"{name} + noop", link(api, "noop", echo_port, toxic="noop"), pid))
        paths.append(Route("ours, http framing", link(api, "framed", echo_port, protocol="http"), pid))
        run(paths, echo_pid, given.rounds, load)


if __name__ == "__main__":
    main()
