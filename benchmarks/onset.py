"""How late faults begin, and how exact an injected latency is; beside a real Toxiproxy where one is given. Prints one table.

    python benchmarks/onset.py [--toxiproxy FILE] [--faults 100]

Onset: the proxy's own `on` record against the `at_ns` it was given, idle and beside a process that keeps the same core busy. The
row `by API call` is what a client gets that asks for a fault at a moment and waits for the reply.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import struct
import sys
import time
import urllib.request
from contextlib import ExitStack, closing

import msgspec
from passthrough import Route, call, echo_server, free_port, link, pin, started

from chaos.model.wire_record import WireRecord

GAP_NS = 20_000_000
LATENCY_MS = 10


def quantiles(values: list[float]) -> tuple[float, float, float]:
    """Median, 95th percentile, maximum."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.95)], ordered[-1]


def read_records(sock: socket.socket, planned: dict[str, int]) -> list[WireRecord]:
    """The planned faults' `on` records from the chunked stream of frames, until all are there."""
    stream = sock.makefile("rb")
    while stream.readline().strip():
        pass
    found: list[WireRecord] = []
    buffer = b""
    while len(found) < len(planned):
        size = int(stream.readline(), 16)
        buffer += stream.read(size)
        stream.readline()
        while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack(">I", buffer[:4])[0]:
            end = 4 + struct.unpack(">I", buffer[:4])[0]
            batch = msgspec.msgpack.decode(buffer[4:end], type=list[WireRecord])
            found += [record for record in batch if record.kind == "on" and record.faults[0] in planned]
            buffer = buffer[end:]
    return found


def scheduled_lateness(api: int, name: str, count: int, prefix: str = "") -> list[float]:
    """Microseconds between planned and actual onset of scheduled faults."""
    with closing(socket.create_connection(("127.0.0.1", api), 30)) as sock:
        sock.sendall(b"GET /chaos/wire HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        first_ns = time.monotonic_ns() + 500_000_000
        planned = {f"{prefix}{name}{i}": first_ns + i * GAP_NS for i in range(count)}
        for fault, at_ns in planned.items():
            toxic = {"type": "noop", "name": fault, "fault": fault, "at_ns": at_ns, "for_ms": 1}
            call(api, f"/proxies/{name}/toxics", toxic)
        records = read_records(sock, planned)
    return [(record.t_ns - planned[record.faults[0]]) / 1000 for record in records]


def api_lateness(api: int, name: str, count: int) -> list[float]:
    """Microseconds from the planned moment to the reply of a plain request sent at that moment."""
    late = []
    for i in range(count):
        at_ns = time.monotonic_ns() + GAP_NS
        time.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)
        call(api, f"/proxies/{name}/toxics", {"type": "noop", "name": f"call{i}"})
        late.append((time.monotonic_ns() - at_ns) / 1000)
        request = urllib.request.Request(f"http://127.0.0.1:{api}/proxies/{name}/toxics/call{i}", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()
    return late


def latency_error(route: Route, count: int) -> list[float]:
    """Microseconds above the injected latency that a round trip takes."""
    late = []
    with route.connect() as sock:
        for _ in range(count):
            start_ns = time.monotonic_ns()
            sock.sendall(b"x")
            sock.recv(64)
            late.append((time.monotonic_ns() - start_ns) / 1000 - LATENCY_MS * 1000)
    return late


def burn(core: int) -> None:
    """Keep a core busy until killed."""
    os.sched_setaffinity(0, {core})
    while True:
        pass


def show(title: str, values: list[float]) -> None:
    """One row."""
    print("{:44}{:10.0f}{:10.0f}{:10.0f}".format(title, *quantiles(values)), flush=True)


def main() -> None:
    """Start everything, measure, stop everything."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    parser = argparse.ArgumentParser()
    parser.add_argument("--toxiproxy", default=shutil.which("toxiproxy-server"), help="a toxiproxy-server binary")
    parser.add_argument("--faults", type=int, default=100)
    given = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    print(f"{'microseconds':44}{'p50':>10}{'p95':>10}{'max':>10}")
    with ExitStack() as stack:
        echo_port, _ = stack.enter_context(echo_server())
        apis = {}
        for name, argv in (("toxiproxy", [given.toxiproxy]), ("ours", [sys.executable, "-m", "chaos.proxy"])):
            if argv[0]:
                apis[name] = free_port()
                pid = stack.enter_context(started([*argv, "-host", "127.0.0.1", "-port", str(apis[name])], apis[name]))
                pin(pid, {core})
        os.sched_setaffinity(0, {core})
        for name, api in apis.items():
            port = link(api, "slow", echo_port)
            call(api, "/proxies/slow/toxics", {"type": "latency", "attributes": {"latency": LATENCY_MS}})
            show(f"{name}: latency of 10 ms, excess", latency_error(Route(name, port, 0), given.faults))
            link(api, "idle", echo_port)
            show(f"{name}: onset by API call", api_lateness(api, "idle", given.faults))
        show("ours: scheduled onset", scheduled_lateness(apis["ours"], "idle", given.faults))
        busy = multiprocessing.Process(target=burn, args=(core,), daemon=True)
        busy.start()
        stack.callback(busy.kill)
        link(apis["ours"], "busy", echo_port)
        show("ours: scheduled onset, core kept busy", scheduled_lateness(apis["ours"], "busy", given.faults))


if __name__ == "__main__":
    main()
