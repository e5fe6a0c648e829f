"""A fault proxy as a child process for tests that are not asynchronous."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chaos.errors import ProxyError

__all__ = ["running_proxy"]

_START_WITHIN_S = 20.0
_END_WITHIN_S = 5.0


@contextmanager
def running_proxy(*flags: str) -> Iterator[tuple[str, int]]:
    """Start `chaos-drill proxy` on a free port of loopback and yield host and port of its API; `flags` are further flags.

    It ends with the block, and by itself if this process dies. Raises ProxyError if it does not come up.
    """
    argv = [sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0", "-parent-watch", *flags]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            told = json.loads(_first_line(process))
            yield told["host"], told["port"]
        finally:
            _end(process)


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    fd = process.stdout.fileno()
    deadline_s = time.monotonic() + _START_WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready:
            raise ProxyError(f"the fault proxy was not ready within {_START_WITHIN_S:g} s")
        piece = os.read(fd, 4096)
        if not piece:
            raise ProxyError("the fault proxy ended before it was ready; what it wrote to stderr says why")
        line += piece
    return line


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
