"""Operations per CPU-second: the load driver / a bare httpx loop that sends the same requests (CPU time; target >= 0.85).

`python benchmarks/driver_cpu.py`: five interleaved rounds of each in a process of its own against one small server; medians. The bare
loop sends 400 requests over 8 connections and looks at nothing; the driver paces, judges, records and reports them.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from chaos.model.plan import WorkloadPlan
from chaos.model.scenario import Arrivals, WorkloadSpec
from chaos.model.workload import OperationKind
from chaos.workloads import Control, DriverPlan, Endpoints, OperationsBatch, open_control

ROUNDS = 5
OPERATIONS = 400
RATE_PER_S = 100.0
BARE = """
import asyncio, sys, time, httpx
BODY = b'{"model":"ref-chat","messages":[{"role":"user","content":"hello"}],"stream":false}'
async def main(url, count):
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        await client.post(url, content=BODY)
        began = time.process_time()
        async def some():
            for _ in range(count // 8):
                await client.post(url, content=BODY)
        await asyncio.gather(*(some() for _ in range(8)))
        print(count / (time.process_time() - began))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A completion for everything."""
    body = msgspec.json.encode({"choices": [{"message": {"content": "x"}}]})
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                (int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def bare(url: str) -> float:
    """Operations per CPU-second of the bare loop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BARE, url, str(OPERATIONS), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return float(output)


async def driver(url: str) -> float:
    """Operations per CPU-second of the driver, its ticks and reports included."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        path = Path(folder) / "s"
        async with open_control(path) as control:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "chaos.workloads", str(path), stderr=asyncio.subprocess.DEVNULL
            )
            try:
                return await _measure(control, process.pid, url)
            finally:
                await control.quit()
                await process.wait()


async def _measure(control: Control, pid: int, url: str) -> float:
    kind = OperationKind(name="chat", route=("driver>gateway",))
    spec = WorkloadSpec(
        name="gateway", kind="gateway", rate_per_s=RATE_PER_S, arrivals=Arrivals.CONSTANT, bound=OPERATIONS
    )
    plan = DriverPlan(
        run_id="benchmark",
        namespace="ref",
        seed=1,
        endpoints=Endpoints(gateway=url),
        digest_key="key",
        workloads=(WorkloadPlan(spec=spec, operations=(kind,)),),
    )
    await control.setup(plan, within_s=20)
    began_s, done = _cpu_s(pid), 0
    await control.start(time.monotonic_ns())
    async for message in control.messages():
        done += len(message.operations) if isinstance(message, OperationsBatch) else 0
        if done >= OPERATIONS:
            break
    return done / (_cpu_s(pid) - began_s)


def _cpu_s(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        rows = [(await bare(url), await driver(url)) for _ in range(ROUNDS)]
    loop, ours = (statistics.median(one) for one in zip(*rows, strict=True))
    print(f"{'measure':<24}{'operations per CPU-second':>28}{'of bare':>10}")
    print(f"{'bare httpx loop':<24}{loop:>28.0f}{1.0:>10.2f}")
    print(f"{'driver':<24}{ours:>28.0f}{ours / loop:>10.2f}")


if __name__ == "__main__":
    asyncio.run(main())
