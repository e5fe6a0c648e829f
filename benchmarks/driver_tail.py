"""Tail honesty of the load driver: reported p99 / true p99 while the system stalls for 200 ms (target 0.95-1.05; wall time, never gates).

`python benchmarks/driver_tail.py`: five rounds against a server that stands still for 200 ms once in four seconds. The true latency of an
operation is what is left of the stall at its intended start, plus the time an answer takes without one. Beside it: what a closed loop
that sends one request after the other would have reported.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from chaos.model.operation import Operation
from chaos.model.plan import WorkloadPlan
from chaos.model.scenario import WorkloadSpec
from chaos.model.workload import OperationKind
from chaos.workloads import Control, DriverPlan, Endpoints, OperationsBatch, open_control

ROUNDS = 5
ROUND_S = 4.0
STALL_S = 0.2
RATE_PER_S = 40.0


class Stalling:
    """Answers at once, but for the time its gate is closed."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = msgspec.json.encode({"choices": [{"message": {"content": "x"}}]})
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")), 0
                )
                await reader.readexactly(length)
                await self.gate.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def stall(self) -> tuple[int, int]:
        """Close the gate in the middle of a round; returns when it was closed and opened again."""
        await asyncio.sleep(ROUND_S / 2)
        self.gate.clear()
        began_ns = time.monotonic_ns()
        await asyncio.sleep(STALL_S)
        ended_ns = time.monotonic_ns()
        self.gate.set()
        await asyncio.sleep(ROUND_S / 2)
        return began_ns, ended_ns


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def true_ms(operations: list[Operation], stalls: list[tuple[int, int]]) -> list[float]:
    """What every operation really had to wait, from the schedule and the stalls alone."""
    calm = statistics.median(
        one.latency_ms or 0.0 for one in operations if not any(s <= one.intended_ns < e for s, e in stalls)
    )
    waits = [
        max((e - one.intended_ns for s, e in stalls if s <= one.intended_ns < e), default=0) / 1e6 for one in operations
    ]
    return [wait + calm for wait in waits]


async def closed_loop(url: str, server: Stalling) -> float:
    """p99 in ms of a loop that sends the next request when the last one is answered, at the same rate otherwise."""
    latencies: list[float] = []

    async def loop() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                began = time.perf_counter()
                await client.post(url, content=b"{}")
                latencies.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(1 / RATE_PER_S)

    task = asyncio.create_task(loop())
    for _ in range(ROUNDS):
        await server.stall()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return p99(latencies)


async def open_loop(control: Control, url: str, server: Stalling) -> tuple[float, float]:
    """Reported and true p99 in ms of the driver."""
    kind = OperationKind(name="chat", route=("driver>gateway",))
    spec = WorkloadSpec(name="gateway", kind="gateway", rate_per_s=RATE_PER_S, bound=200)
    plan = DriverPlan(
        run_id="benchmark",
        namespace="ref",
        seed=1,
        endpoints=Endpoints(gateway=url),
        digest_key="key",
        workloads=(WorkloadPlan(spec=spec, operations=(kind,)),),
    )
    await control.setup(plan, within_s=20)
    await control.start(time.monotonic_ns())
    stalls = [await server.stall() for _ in range(ROUNDS)]
    await control.stop_load()
    await control.drain(5)
    await control.quit()
    operations = [
        one async for batch in control.messages() if isinstance(batch, OperationsBatch) for one in batch.operations
    ]
    return p99([one.latency_ms or 0.0 for one in operations]), p99(true_ms(operations, stalls))


async def main() -> None:
    stalling = Stalling()
    async with await asyncio.start_server(stalling.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with tempfile.TemporaryDirectory(prefix="bench") as folder:
            path = Path(folder) / "s"
            async with open_control(path) as control:
                driver = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "chaos.workloads", str(path), stderr=asyncio.subprocess.DEVNULL
                )
                try:
                    reported, true = await open_loop(control, url, stalling)
                finally:
                    await driver.wait()
        closed = await closed_loop(url, stalling)
    print(f"{'measure':<34}{'p99 ms':>10}{'of true':>10}")
    print(f"{'true':<34}{true:>10.1f}{1.0:>10.2f}")
    print(f"{'driver (open loop)':<34}{reported:>10.1f}{reported / true:>10.2f}")
    print(f"{'closed loop':<34}{closed:>10.1f}{closed / true:>10.2f}")


if __name__ == "__main__":
    asyncio.run(main())
