"""Waiting until a child serves: by HTTP, by a TCP connect or by a line in its log; ends at once when the child does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from chaos.errors import NotReadyError
from chaos.system.child import Child, log_tail
from chaos.system.ports import Address

__all__ = ["http_status", "log_has", "log_size", "tcp_accepts", "wait_until"]

ATTEMPT_S = 1.0
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.1

Probe = Callable[[], Awaitable[bool]]
"""Asks once; False or an OSError means: not yet."""


async def wait_until(probe: Probe, child: Child, deadline_s: float, what: str) -> None:
    """Ask with short pauses until the answer is yes.

    Raises NotReadyError, with the end of the log, if the child ends or the deadline passes first.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(deadline_s):
            while not await _once(probe):
                await _pause_or_exit(child, pause_s)
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
    except TimeoutError:
        raise NotReadyError(_text(child, f"was not ready within {deadline_s:g} s ({what})")) from None


async def _once(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(ATTEMPT_S):
            return await probe()
    except (OSError, TimeoutError):
        # An attempt of its own that takes too long is a "not yet"; the whole wait has the deadline outside.
        return False


async def _pause_or_exit(child: Child, pause_s: float) -> None:
    try:
        async with asyncio.timeout(pause_s):
            await child.exited.wait()
    except TimeoutError:
        return
    code = child.code
    raise NotReadyError(_text(child, f"ended before it was ready (exit code {code})"))


def _text(child: Child, what: str) -> str:
    tail = log_tail(child.log)
    return f"{child.name} {what}; its log is {child.log}" + (f" and ends with:\n{tail}" if tail else " (empty)")


async def http_status(address: Address, path: str) -> int:
    """Status code of one GET, 0 if the answer is not HTTP. Raises OSError if nobody answers."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
    except ValueError:  # longer than any status line
        return 0
    finally:
        writer.transport.abort()
    match = re.match(rb"HTTP/1\.[01] (\d{3})", line)
    return int(match[1]) if match else 0


async def tcp_accepts(address: Address) -> bool:
    """Whether a connect succeeds. Raises OSError if it is refused."""
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.transport.abort()
    return True


def log_size(log: Path) -> int:
    """Bytes in the log; 0 if there is none yet."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def log_has(log: Path, pattern: str, since: int = 0) -> bool:
    """Whether a line of the log, from byte `since` on, matches the regular expression."""
    try:
        with log.open("rb") as file:
            file.seek(since)
            return re.search(pattern, file.read().decode("utf-8", "replace"), re.MULTILINE) is not None
    except FileNotFoundError:
        return False
