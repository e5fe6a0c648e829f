"""A fault on a proxy that outlives its client is gone when its lease is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

TTL_MS = 1500

CLIENT = """
import sys, anyio
from chaos.links import connect_embedded
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

async def main():
    async with connect_embedded(sys.argv[1]) as control:
        await control.acquire(holder="client", ttl_ms=float(sys.argv[2]), hard_end_ms=60_000)
        await control.create(Link(name="a>b"), upstream="127.0.0.1:9")
        fault = FaultSpec(name="slow", kind="latency", links=("a>b",), at_ms=0, for_ms=60_000, attributes={"latency": 100})
        await control.arm(fault, "a>b", at_ns=await control.now_ns(), seed=1)
        print("armed", flush=True)
        while True:
            await control.renew()
            await anyio.sleep(0.2)

anyio.run(main)
"""


@pytest.fixture
def proxy_url() -> Iterator[str]:
    """A fault proxy of its own that nobody's run owns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        where = json.loads(process.stdout.readline())
        yield f"http://{where['host']}:{where['port']}"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def ask(url: str) -> Any:
    """GET as JSON."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def test_a_killed_clients_fault_goes_with_its_lease(proxy_url: str) -> None:
    """While the client renews, the toxic is there beyond the TTL; after its SIGKILL the lease and the toxic go by themselves."""
    client = subprocess.Popen([sys.executable, "-c", CLIENT, proxy_url, str(TTL_MS)], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    try:
        assert client.stdout.readline() == "armed\n"
        until = time.monotonic() + 2 * TTL_MS / 1000
        while time.monotonic() < until:
            assert len(ask(f"{proxy_url}/proxies/a%3Eb")["toxics"]) == 1
            time.sleep(0.1)
    finally:
        client.kill()
        client.wait()
        client.stdout.close()
    deadline = time.monotonic() + 30
    while ask(f"{proxy_url}/proxies/a%3Eb")["toxics"]:
        assert time.monotonic() < deadline, "the toxic outlived its lease"
        time.sleep(0.1)
    assert ask(f"{proxy_url}/chaos/leases") == []
