"""HTTP as the driver speaks it: stock httpx, one client, kept-alive connections, no retries, no proxies from the environment."""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from chaos.model.operation import Answer, AnswerKind
from chaos.workloads.answers import driver_failure, http_answer
from chaos.workloads.call import Call

__all__ = ["HttpDoor", "HttpReply", "open_http"]

MAX_BODY_BYTES = 8 * 1024 * 1024
# Shorter than servers keep an idle connection (uvicorn: 5 s): reusing one at the moment it is closed would look like a failure.
_KEEPALIVE_S = 2.0
_KEPT_ALIVE = 20  # the pool looks at each of them for every request
_RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A whole response, or what went wrong instead. `body` is empty unless the answer is ok."""

    answer: Answer
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether there is an ok body to look at."""
        return self.answer.kind is AnswerKind.OK


class HttpDoor:
    """Requests of operations. Deadlines are those of the caller's cancel scope."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, call: Call, url: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> HttpReply:
        """POST a JSON body for an operation and read the whole answer; failures at the driver are answers too."""
        sent = {**call.headers(), "content-type": "application/json", **(headers or {})}
        try:
            async with self._client.stream("POST", url, content=body, headers=sent) as response:
                return await self._read(call, response)
        except httpx.HTTPError as error:
            call.ended()
            return HttpReply(answer=_failure(error))

    async def healthy(self, url: str) -> str | None:
        """None when `GET url` answers 2xx, else what it does instead."""
        try:
            response = await self._client.get(url)
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
        return None if response.is_success else f"status {response.status_code}"

    async def _read(self, call: Call, response: httpx.Response) -> HttpReply:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            call.received()
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                call.ended()
                return HttpReply(answer=driver_failure("protocol", f"an answer of more than {MAX_BODY_BYTES} bytes"))
        call.ended()
        answer = http_answer(
            response.status_code,
            response.headers.get("content-type", ""),
            bytes(body),
            retry_after=response.headers.get("retry-after"),
            wall_s=time.time(),
        )
        return HttpReply(answer=answer, body=bytes(body) if answer.kind is AnswerKind.OK else b"")


@asynccontextmanager
async def open_http(connections: int) -> AsyncIterator[HttpDoor]:
    """A client for at most that many requests at once; waiting for a connection would be a queue, so give the sum of all bounds."""
    limits = httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEPALIVE_S
    )
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False, follow_redirects=False) as client:  # noqa: S113 -- every request runs under its operation's deadline
        yield HttpDoor(client)


def _failure(error: httpx.HTTPError) -> Answer:
    """Name a transport error by what the socket said, which httpx keeps in the chain of causes."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return driver_failure("connect-refused", text)
    if any(isinstance(one, OSError) and one.errno in _RESET for one in _causes(error)):
        return driver_failure("connection-reset", text)
    cut = isinstance(error, httpx.ReadError | httpx.WriteError | httpx.CloseError)
    gone = isinstance(error, httpx.RemoteProtocolError) and (
        "disconnected" in str(error) or "peer closed" in str(error)
    )
    return driver_failure("closed" if cut or gone else "protocol", text)


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and len(chain) < 10:
        chain.append(one)
        one = one.__cause__ or one.__context__
    return chain
