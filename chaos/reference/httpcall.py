"""Calls to another service over HTTP: one attempt with a deadline, the budget and the trace passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx

from chaos.reference import budget, envelope, problems, spending, telemetry
from chaos.reference.settings import Settings

__all__ = ["Callee", "open_client"]

Data = TypeVar("Data")


@asynccontextmanager
async def open_client(*urls: str) -> AsyncIterator[httpx.AsyncClient]:
    """The one client a service shares among its calls; certificates are loaded only where a URL needs them."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=10)
    verify = any(url.startswith("https:") for url in urls)
    client = httpx.AsyncClient(limits=limits, trust_env=False, verify=verify, timeout=None)  # noqa: S113 - per call
    try:
        yield client
    finally:
        async with asyncio.timeout(0.3):
            await client.aclose()


class Callee:
    """One service behind a URL, under the name that problems give it."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        name: str,
        url: str,
        settings: Settings,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._url = url.rstrip("/")
        self.timeout_ms = settings.call_timeout_ms
        self._defects = settings.defects
        self._headers = dict(headers or {})

    async def ask(
        self, path: str, body: bytes, message_type: str, answer: type[Data], *, key: str | None = None
    ) -> Data:
        """Send an encoded envelope, give the data of the answer's; raises Problem."""
        raw = await self.post(path, body, key=key)
        try:
            return envelope.decode(raw, message_type, answer)
        except envelope.EnvelopeError as error:
            raise problems.broken(self.name, f"{self.name} gave an answer that cannot be read: {error}") from error

    async def post(self, path: str, body: bytes, *, key: str | None = None) -> bytes:
        """POST and read the whole answer; raises Problem unless its status is a success."""
        async with self.open(path, body, key=key) as response:
            return await response.aread()

    @asynccontextmanager
    async def open(self, path: str, body: bytes, *, key: str | None = None) -> AsyncIterator[httpx.Response]:
        """POST and hold the successful answer while it streams; the deadline covers the whole block.

        Raises Problem: `dependency_unavailable` when it cannot be reached, `dependency_timeout` when it is silent,
        `dependency_error` when the connection breaks, and what an error answer says.
        """
        with spending.waiting_for(self.name):
            async with self._opened(path, body, key) as response:
                spending.add_below(self.name, response.headers.get(spending.SERVER_TIMING, ""))
                yield response

    @asynccontextmanager
    async def _opened(self, path: str, body: bytes, key: str | None) -> AsyncIterator[httpx.Response]:
        headers = {"Content-Type": "application/json", **self._headers}
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._defects.on("no-http-timeout"):
            timeout_s = None
        else:
            limit_ms = budget.limit_ms(self.timeout_ms, self.name)
            timeout_s = limit_ms / 1000
            if self._defects.on("budget-not-passed-on"):
                headers[budget.BUDGET_HEADER] = str(self.timeout_ms)
            else:
                headers[budget.BUDGET_HEADER] = str(budget.passed_on_ms(limit_ms))
        attributes = {"http.request.method": "POST", "url.full": self._url + path, "peer.service": self.name}
        with telemetry.span("POST", telemetry.SpanKind.CLIENT, attributes) as span:
            headers |= telemetry.copied() if self._defects.on("header-copied-unchanged") else telemetry.outgoing()
            async with self._translated(), asyncio.timeout(timeout_s):
                request = self._client.stream(
                    "POST", self._url + path, content=body, headers=headers, timeout=timeout_s
                )
                async with request as response:
                    span.set_attribute("http.response.status_code", response.status_code)
                    if not response.is_success:
                        raise await self._problem(response)
                    yield response

    async def _problem(self, response: httpx.Response) -> problems.Problem:
        headers = response.headers
        body = await response.aread()
        content_type = headers.get("content-type", "")
        return problems.from_answer(self.name, response.status_code, content_type, body, headers.get("retry-after"))

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Failures of the transport as problems that name this callee."""
        try:
            yield
        except (TimeoutError, httpx.TimeoutException) as error:
            raise problems.timed_out(self.name, f"{self.name} did not answer in time") from error
        except httpx.ConnectError as error:
            raise problems.unavailable(self.name, f"{self.name} cannot be reached") from error
        except (httpx.RequestError, httpx.StreamError) as error:
            detail = f"the connection to {self.name} broke before its answer was complete"
            raise problems.broken(self.name, detail, retryable=True) from error
