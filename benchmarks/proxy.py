"""The fault proxy side by side: direct, a real Toxiproxy (where one is given) and ours, interleaved round by round; one table.

    python benchmarks/proxy.py [--toxiproxy FILE] [--rounds 5] [--quick] [--only PART]

Numbers in front of the measures are those of the design's list. `cpu` rows are the proxy process's own CPU time, which compares on
a shared machine; `wall` rows are reported only. `one core`: client, proxy and server on one; `own core`: the proxy alone on its
core, client and server on another; `free`: wherever the system puts them. A cell is the median of all rounds, a
ratio that of the rounds' ratios; `log` is with a toxic
in the chain and the wire log at work, `http` with framing on top.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import signal
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from onset import LATENCY_MS, api_lateness, burn, latency_error, scheduled_lateness
from passthrough import Load, Route, bulk, call, echo_server, free_port, link, messages, pin, round_trips, started

DIRECT, TOXI, TOXI_NOOP, OURS, LOG, HTTP = "direct", "toxiproxy", "toxiproxy+noop", "ours", "ours+log", "ours+http"
COLUMNS = (DIRECT, TOXI, TOXI_NOOP, OURS, LOG, HTTP)
Values = dict[str, list[float]]


@dataclass
class Bench:
    """What is running. `routes` by column, `apis` and `pids` by server."""

    routes: dict[str, Route]
    apis: dict[str, int]
    pids: dict[str, int]
    echo_pid: int
    rounds: int
    load: Load
    rows: list[str] = field(default_factory=list)

    def place(self, placement: str) -> None:
        """Put everything where the placement says."""
        cores = sorted(os.sched_getaffinity(0) | {0, (os.cpu_count() or 1) - 1})
        own, others = {"one core": ({cores[0]}, {cores[0]}), "own core": ({cores[0]}, {cores[-1]})}.get(
            placement, (set(cores), set(cores))
        )
        for pid in self.pids.values():
            pin(pid, own)
        pin(self.echo_pid, others)
        os.sched_setaffinity(0, others)

    def interleave(
        self, measure: Callable[[Route], tuple[float, float]], columns: tuple[str, ...]
    ) -> tuple[Values, Values]:
        """Wall and CPU values of each column, round by round."""
        wall: Values = {name: [] for name in columns if name in self.routes}
        cpu: Values = {name: [] for name in wall}
        for _ in range(self.rounds):
            for name in wall:
                first, second = measure(self.routes[name])
                wall[name].append(first)
                cpu[name].append(second)
        return wall, cpu


def median(values: Values, name: str) -> float | None:
    """The median of a column, if it was measured."""
    return statistics.median(values[name]) if values.get(name) else None


def show(title: str, values: Values, *, against: str = "", targets: str = "") -> None:
    """One row: the columns, then plain against Toxiproxy plain, and with toxic and log against Toxiproxy with a toxic."""
    found = {name: median(values, name) for name in COLUMNS}
    cells = "".join(f"{'-' if value is None else format(value, '.4g'):>15}" for value in found.values())
    ratios = [_ratio(values, OURS, TOXI), _ratio(values, LOG, TOXI_NOOP), _ratio(values, OURS, DIRECT)]
    wanted = {"plain": ratios[:1], "both": ratios[:2], "direct": [ratios[0], ratios[2]], "": []}[against]
    print(f"{title:45}{cells}  {' / '.join(wanted):16}{targets}", flush=True)


def _ratio(values: Values, one: str, other: str) -> str:
    """The median of the ratios round by round: what slows the machine down for a while slows both."""
    rounds = [mine / theirs for mine, theirs in zip(values.get(one, ()), values.get(other, ()), strict=False) if theirs]
    return f"{statistics.median(rounds):.2f}" if rounds else "-"


def added(wall: Values) -> Values:
    """What each route adds to the direct one, round by round."""
    return {
        name: [value - direct for value, direct in zip(values, wall[DIRECT], strict=True)]
        for name, values in wall.items()
        if name != DIRECT
    }


def pass_through(bench: Bench) -> None:
    """Measures 1, 2 and 3."""
    for placement in ("one core", "free"):
        bench.place(placement)
        wall, cpu = bench.interleave(lambda route: round_trips(route, bench.load), COLUMNS)
        pinned = placement == "one core"
        show(f"1 round trip, {placement}: wall us", wall)
        show(f"1 added by the proxy, {placement}: wall us", added(wall), against="both", targets="<=.85 / <=1" * pinned)
        show(f"1 proxy CPU a round trip, {placement}: us", cpu, against="both", targets="<=.85 / <=1" * pinned)
    for placement in ("own core", "one core", "free"):
        bench.place(placement)
        wall, cpu = bench.interleave(lambda route: messages(route, bench.load), COLUMNS)
        show(f"2 100 connections, {placement}: messages/s", wall, against="both", targets=">=1.3 / >=1")
        per_second = {
            name: [1e6 / value for value in values if value] for name, values in cpu.items() if name != DIRECT
        }
        show(f"2 round trips a CPU second, {placement}", per_second, against="both", targets=">=1.3 / >=1")
    for placement in ("own core", "free"):
        bench.place(placement)
        wall, cpu = bench.interleave(lambda route: bulk(route, bench.load), COLUMNS)
        show(f"3 bulk, {placement}: MB/s", wall, against="direct", targets=">=1.5 / >=.40 of direct")
        per_second = {
            name: [1e5 / value for value in values if value] for name, values in cpu.items() if name != DIRECT
        }
        show(f"3 bulk, {placement}: MB a CPU second", per_second, against="plain", targets=">=1.5")


def crowds(bench: Bench) -> None:
    """Measure 12: CPU of a round trip as connections grow."""
    bench.place("own core")
    found = {}
    for count in (10, 100, 1000):
        _, found[count] = bench.interleave(partial(messages, load=bench.load, connections=count), (TOXI, OURS, HTTP))
        show(f"12 proxy CPU, {count} connections: us", found[count], against="plain")
    growth = {
        name: [many / few for many, few in zip(found[1000][name], found[10][name], strict=True)] for name in found[10]
    }
    show("12 growth from 10 to 1000", growth, targets="<=1.6 (ours)")


def timing(bench: Bench) -> None:
    """Measures 5 and 6: injected latency and onset, in microseconds."""
    bench.place("own core")
    routes = dict(bench.routes)
    for name, column in ((TOXI, TOXI), (OURS, OURS)):
        if name in bench.apis:
            port = link(bench.apis[name], "slow", bench.routes[DIRECT].port)
            call(bench.apis[name], "/proxies/slow/toxics", {"type": "latency", "attributes": {"latency": LATENCY_MS}})
            routes[column] = Route(column, port, 0)
    count = 40 if bench.load.messages > 5000 else 10
    for placement in ("own core", "one core"):
        bench.place(placement)
        late: Values = {name: [] for name in (TOXI, OURS) if name in bench.apis}
        for _ in range(bench.rounds):
            for name in late:
                late[name].append(statistics.median(latency_error(routes[name], count)))
        show(f"6 excess of 10 ms, {placement}, p50: us", late, against="plain", targets="<=.5")
    onset(bench, count)


def onset(bench: Bench, count: int) -> None:
    """Measure 5: scheduled in the proxy against asked for over the API, idle and beside a busy process."""
    core = max(os.sched_getaffinity(0) | {0})
    for server in bench.apis:
        link(bench.apis[server], "onset", bench.routes[DIRECT].port)
    bench.place("own core")
    asked = {name: api_lateness(api, "onset", count) for name, api in bench.apis.items()}
    show("5 onset by API call, p50: us", asked)
    for title, busy in (("idle core", False), ("beside a busy process", True)):
        with busy_core(core if busy else None):
            if busy:
                pin(bench.pids[OURS], {core})
            late = scheduled_lateness(bench.apis[OURS], "onset", count, title.split()[0])
        show(f"5 scheduled onset, {title}, p50: us", {OURS: late}, targets="<=100" * (not busy))
        show(
            f"5 scheduled onset, {title}, p95: us",
            {OURS: [sorted(late)[int(len(late) * 0.95)]]},
            targets="<=5000" * busy,
        )


@contextmanager
def busy_core(core: int | None) -> Iterator[None]:
    """A process that keeps the core busy, if one is named."""
    if core is None:
        yield
        return
    process = multiprocessing.Process(target=burn, args=(core,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


PARTS: dict[str, Callable[[Bench], None]] = {"passing": pass_through, "crowds": crowds, "timing": timing}


@contextmanager
def opened(toxiproxy: str | None, rounds: int, load: Load) -> Iterator[Bench]:
    """Everything started; stopped on the way out."""
    with ExitStack() as stack:
        echo_port, echo_pid = stack.enter_context(echo_server())
        bench = Bench({DIRECT: Route(DIRECT, echo_port, 0)}, {}, {}, echo_pid, rounds, load)
        for name, argv in ((TOXI, [toxiproxy or ""]), (OURS, [sys.executable, "-m", "chaos.proxy"])):
            if argv[0]:
                api = bench.apis[name] = free_port()
                pid = stack.enter_context(started([*argv, "-host", "127.0.0.1", "-port", str(api)], api))
                bench.pids[name] = pid
                plain, chained = (TOXI, TOXI_NOOP) if name == TOXI else (OURS, LOG)
                bench.routes[plain] = Route(plain, link(api, "plain", echo_port), pid)
                bench.routes[chained] = Route(chained, link(api, "noop", echo_port, toxic="noop"), pid)
        framed = link(bench.apis[OURS], "framed", echo_port, toxic="noop", protocol="http")
        bench.routes[HTTP] = Route(HTTP, framed, bench.pids[OURS])
        yield bench


def main() -> None:
    """Start everything, measure, stop everything."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--toxiproxy", default=shutil.which("toxiproxy-server"), help="a toxiproxy-server binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load")
    parser.add_argument("--only", choices=PARTS, help="a part of the table")
    given = parser.parse_args()
    load = Load(300, 2000, 30_000_000) if given.quick else Load(3000, 20_000, 300_000_000)
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, ",
        end="",
    )
    print(f"load {' '.join(f'{one:.1f}' for one in os.getloadavg())}, {given.rounds} rounds")
    print(f"{'':45}{''.join(f'{name:>15}' for name in COLUMNS)}  {'ours / Toxiproxy':16} target")
    with opened(given.toxiproxy, given.rounds, load) as bench:
        for name, measure in PARTS.items():
            if given.only in {None, name}:
                measure(bench)
    print(f"load at the end {' '.join(f'{one:.1f}' for one in os.getloadavg())}")


if __name__ == "__main__":
    main()
