"""Calls to a proxy's HTTP API: a deadline on each, and every failure a ProxyError that says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from chaos.errors import ProxyError

__all__ = ["CALL_WITHIN_S", "ApiClient", "ApiError", "open_api"]

CALL_WITHIN_S = 5.0
"""How long one call may take. The proxy answers within a second whatever the traffic."""
_CLOSE_WITHIN_S = 1.0


class ApiError(ProxyError):
    """The proxy refused a request: `status` of its answer, `body` its members."""

    def __init__(self, text: str, status: int, body: dict[str, Any]) -> None:
        super().__init__(text)
        self.status = status
        self.body = body


class ApiClient:
    """JSON in, JSON out. Use `open_api()`."""

    def __init__(self, client: httpx.AsyncClient, where: str, call_within_s: float) -> None:
        self._client = client
        self._call_within_s = call_within_s
        self.where = where

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer (None without a body). Raises ApiError for a status above 299, ProxyError for none."""
        try:
            with anyio.fail_after(self._call_within_s):
                reply = await self._client.request(method, path, json=body)
        except TimeoutError:
            raise ProxyError(f"{self._named(method, path)}: no answer within {self._call_within_s:g} s") from None
        except httpx.HTTPError as error:
            raise ProxyError(f"{self._named(method, path)}: {_reason(error)}; is the proxy still running?") from error
        if reply.status_code >= 300:
            raise self._refused(method, path, reply)
        return self._decoded(method, path, reply) if reply.content else None

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an answer without end. Raises as `call` does until it begins; while reading, when it breaks off."""
        try:
            with anyio.fail_after(self._call_within_s):
                reply = await self._client.send(self._client.build_request("GET", path), stream=True)
        except TimeoutError:
            raise ProxyError(f"{self._named('GET', path)}: no answer within {self._call_within_s:g} s") from None
        except httpx.HTTPError as error:
            raise ProxyError(f"{self._named('GET', path)}: {_reason(error)}; is the proxy still running?") from error
        try:
            if reply.status_code >= 300:
                await reply.aread()
                raise self._refused("GET", path, reply)
            yield reply.aiter_raw()
        except httpx.HTTPError as error:
            raise ProxyError(f"{self._named('GET', path)} broke off: {_reason(error)}") from error
        finally:
            with anyio.move_on_after(_CLOSE_WITHIN_S, shield=True):
                await reply.aclose()

    def _named(self, method: str, path: str) -> str:
        return f"fault proxy at {self.where}: {method} {path}"

    def _decoded(self, method: str, path: str, reply: httpx.Response) -> Any:
        try:
            return reply.json()
        except ValueError as error:
            raise ProxyError(f"{self._named(method, path)} did not answer JSON; is this a fault proxy?") from error

    def _refused(self, method: str, path: str, reply: httpx.Response) -> ApiError:
        try:
            body = reply.json()
        except ValueError:
            body = None
        members = body if isinstance(body, dict) else {}
        reason = members.get("error") or reply.text[:200].strip() or "no reason given"
        return ApiError(f"{self._named(method, path)}: {reply.status_code} {reason}", reply.status_code, members)


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


@asynccontextmanager
async def open_api(base_url: str, *, call_within_s: float = CALL_WITHIN_S) -> AsyncIterator[ApiClient]:
    """A client for the API at `http://host:port`, with a deadline on each call. Raises ProxyError for a URL that is none."""
    url = httpx.URL(base_url)
    if url.scheme != "http" or not url.host:
        raise ProxyError(f"{base_url!r} is not the address of a proxy's API; write http://host:port")
    # Never by way of a proxy of the environment; no TLS, so no certificates to load (50 ms). The wire log may be silent for
    # ever: reading has no time limit of its own, calls have theirs above.
    timeout = httpx.Timeout(call_within_s, read=None)
    async with httpx.AsyncClient(base_url=url, timeout=timeout, trust_env=False, verify=False) as client:  # noqa: S501
        yield ApiClient(client, url.netloc.decode(), call_within_s)
