"""NATS: one connection that comes back for ever, JetStream publishing with a deadline, trace and budget in the headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from chaos.reference import budget, problems, telemetry
from chaos.reference.settings import Settings

__all__ = ["Bus", "lower_case", "stream_config", "travel_headers"]

log = logging.getLogger(__name__)

_NAME = "nats"
_CLOSE_TIMEOUT_S = 0.3
_RETRY_PAUSE_S = 0.2

# The client does not check the JSON of JetStream's answers.
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)

Prepare = Callable[["Bus"], Awaitable[None]]


class Bus:
    """The NATS connection of one service; opened and kept by `keep_connected`.

    The client reconnects by itself, but closes for good when the server reports an error (`-ERR`): then a new one is
    made, and `client` is another object, on which everything must be subscribed again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.defects = settings.defects
        self._client = Client()
        self._connects = asyncio.Event()
        self.ready = asyncio.Event()
        self.losses = 0
        self._last_error = ""

    def __repr__(self) -> str:
        return f"<Bus {self._settings.service} {'ready' if self.ready.is_set() else 'not ready'} losses={self.losses}>"

    @property
    def client(self) -> Client:
        """The connection, for subscribing."""
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """JetStream on this connection, with this service's timeout."""
        return self._client.jetstream(timeout=self._settings.nats_timeout_ms / 1000)

    async def keep_connected(self, prepare: Prepare) -> None:
        """Connect as soon as NATS is there, prepare streams after every connect, until cancelled."""
        try:
            while True:
                await self._keep_client(prepare)
                self._lose("the server reported an error, a new one is made")
                self._client = Client()
                await asyncio.sleep(_RETRY_PAUSE_S)
        finally:
            self.ready.clear()
            with suppress(TimeoutError, nats.errors.Error, OSError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._client.close()

    async def _keep_client(self, prepare: Prepare) -> None:
        """Prepare after each of the client's connects, until it is closed."""
        self._connects.clear()
        await self._connect()
        while not self._client.is_closed:
            await self._prepare_until_done(prepare)
            await self._connects.wait()
            self._connects.clear()

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """Publish to a stream and wait for its acknowledgement; raises Problem."""
        timeout_s = self._limit_s()
        if self.defects.on("traceparent-dropped-on-publish"):
            headers = {name: value for name, value in headers.items() if name != "traceparent"}
        with _translated():
            async with asyncio.timeout(timeout_s):
                await self.jetstream.publish(subject, payload, timeout=timeout_s, headers=dict(headers))

    async def reply(self, request: Msg, payload: bytes) -> None:
        """Answer a request, with headers of our own (`respond()` would send the request's back)."""
        with telemetry.span("send reply", telemetry.SpanKind.PRODUCER, {"messaging.system": "nats"}), _translated():
            async with asyncio.timeout(self._limit_s()):
                await self._client.publish(request.reply, payload, headers=travel_headers())

    def _limit_s(self) -> float:
        # While reconnecting the client would buffer, and deliver long after anybody waits for it.
        if not self._client.is_connected:
            raise problems.unavailable(_NAME, "the connection to nats is down")
        return self._settings.nats_timeout_ms / 1000

    async def _connect(self) -> None:
        await self._client.connect(
            servers=[self._settings.nats_url],
            name=self._settings.service,
            connect_timeout=1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # seconds, used as a float
            max_reconnect_attempts=-1,
            ping_interval=2,
            max_outstanding_pings=2,
            error_cb=self._on_error,
            disconnected_cb=partial(self._on_disconnect, self._client),
            reconnected_cb=self._on_change,
            closed_cb=self._on_change,
        )

    async def _prepare_until_done(self, prepare: Prepare) -> None:
        """JetStream answers a moment later than the server accepts."""
        while self._client.is_connected:
            try:
                async with asyncio.timeout(5):
                    await prepare(self)
            except (nats.errors.Error, TimeoutError, *_UNREADABLE) as error:
                log.warning("nats is not ready: %s", type(error).__name__)
                await asyncio.sleep(_RETRY_PAUSE_S)
            else:
                self.ready.set()
                self._last_error = ""
                log.info("connected to nats")
                return

    async def _on_error(self, error: Exception) -> None:
        # Once for a series: the client tries to reconnect five times a second.
        if type(error).__name__ != self._last_error:
            self._last_error = type(error).__name__
            log.warning("nats: %s", self._last_error)

    async def _on_disconnect(self, client: Client) -> None:
        if not client.is_closed:  # else it was closed by us, or `keep_connected` sees it
            self._lose("the client reconnects")

    def _lose(self, next_step: str) -> None:
        self.losses += 1
        self.ready.clear()
        log.warning("lost the connection to nats: %s", next_step)

    async def _on_change(self) -> None:
        self._connects.set()


def travel_headers() -> dict[str, str]:
    """Trace context, baggage and what remains of the budget, for a message sent now."""
    headers = telemetry.outgoing()
    left_ms, deadline_ms = budget.remaining_ms(), budget.deadline_unix_ms()
    if left_ms is not None and deadline_ms is not None:
        headers[budget.BUDGET_HEADER] = str(max(0, int(left_ms)))
        headers[budget.DEADLINE_HEADER] = str(deadline_ms)
    return headers


def lower_case(headers: Mapping[str, str] | None) -> dict[str, str]:
    """A message's headers by lower-case name."""
    return {name.lower(): value for name, value in (headers or {}).items()}


def stream_config(name: str, subject: str, retention: RetentionPolicy) -> StreamConfig:
    """A small stream on disk: a drill's, not an archive."""
    return StreamConfig(
        name=name,
        subjects=[subject],
        retention=retention,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_msgs=20_000,
        max_bytes=8 * 1024 * 1024,
        max_age=3600,
        duplicate_window=120,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (TimeoutError, nats.errors.TimeoutError) as error:
        raise problems.timed_out(_NAME, "nats did not acknowledge in time") from error
    except _UNREADABLE as error:
        raise problems.broken(_NAME, "nats gave an answer that cannot be read", retryable=True) from error
    except (nats.errors.Error, js_errors.Error, OSError) as error:
        raise problems.unavailable(_NAME, f"nats cannot take the message ({type(error).__name__})") from error
