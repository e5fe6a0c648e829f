"""A connect probe: whether an address refuses, accepts, or does not answer. It says what callers meet, not what should be."""

from __future__ import annotations

import errno
from typing import Literal

import anyio
from anyio.abc import SocketStream

from chaos.errors import ProxyError

__all__ = ["ProbeResult", "probe_connect"]

ProbeResult = Literal["refused", "accepted", "timeout"]


async def probe_connect(address: str, *, within_s: float = 0.25) -> ProbeResult:
    """Connect to `host:port` or `unix:PATH` once and close. Raises ProxyError when there is no way to it at all (no route, no such name)."""
    try:
        with anyio.fail_after(within_s):
            stream = await _connect(address)
    except TimeoutError:
        return "timeout"
    except OSError as error:
        if _refused(error):
            return "refused"
        raise ProxyError(f"cannot probe {address}: {error}") from error
    with anyio.move_on_after(within_s, shield=True):
        await stream.aclose()
    return "accepted"


async def _connect(address: str) -> SocketStream:
    if address.startswith("unix:"):
        return await anyio.connect_unix(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await anyio.connect_tcp(host.strip("[]"), int(port))


def _refused(error: BaseException | None) -> bool:
    """Whether a refusal is behind this error; a name with several addresses has several causes."""
    if isinstance(error, BaseExceptionGroup):
        return all(_refused(one) for one in error.exceptions)
    if isinstance(error, OSError) and error.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
        return True
    return error is not None and error.__cause__ is not None and _refused(error.__cause__)
