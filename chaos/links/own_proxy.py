"""A fault proxy of one's own, as a child process for as long as a block lasts."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from chaos.errors import ProxyError

__all__ = ["embedded_proxy"]

_START_WITHIN_S = 20.0
_END_WITHIN_S = 5.0


@asynccontextmanager
async def embedded_proxy(*flags: str) -> AsyncIterator[str]:
    """Start `chaos-drill proxy` on a free port of loopback and yield its API's URL; `flags` are further flags of its command line.

    It ends with the block, and by itself if this process dies. Raises ProxyError if it does not come up.
    """
    argv = [sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0", "-parent-watch", *flags]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await anyio.open_process(argv, stderr=None, env=environment)
    try:
        yield await _address(process)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _address(process: Process) -> str:
    assert process.stdout is not None
    try:
        with anyio.fail_after(_START_WITHIN_S):
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 65_536)
    except (anyio.IncompleteRead, anyio.EndOfStream):
        raise ProxyError("the fault proxy ended before it was ready; what it wrote to stderr says why") from None
    except TimeoutError:
        raise ProxyError(f"the fault proxy was not ready within {_START_WITHIN_S:g} s") from None
    told = msgspec.json.decode(line, type=dict[str, Any])
    return f"http://127.0.0.1:{told['port']}"


async def _end(process: Process) -> None:
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(_END_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.aclose()
