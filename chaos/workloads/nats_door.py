"""NATS as the driver speaks it: one connection, results by a core subscription, nothing buffered while disconnected."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import anyio
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from chaos.model.operation import Answer, AnswerKind
from chaos.workloads.answers import driver_failure, excerpt
from chaos.workloads.call import Call

__all__ = [
    "PUBACK_WITHIN_S",
    "UNSENT",
    "Completion",
    "NatsDoor",
    "failure",
    "flush",
    "open_client",
    "open_nats",
    "refusal",
]

_log = logging.getLogger(__name__)
_CONNECT_TIMEOUT_S = 2
_RECONNECT_WAIT_S = 0.2
_PING_INTERVAL_S = 2
PUBACK_WITHIN_S = 2.0
_CLOSE_WITHIN_S = 2.0
UNSENT = "not connected to NATS; nothing was sent"


class Completion:
    """The completion message of asynchronous work, once it came."""

    def __init__(self) -> None:
        self.payload = b""
        self.headers: Mapping[str, str] = {}
        self.t_ns = 0
        self._came = anyio.Event()

    def set(self, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Take the message; a second one for the same operation changes nothing."""
        if not self.t_ns:
            self.payload, self.headers, self.t_ns = payload, headers or {}, time.monotonic_ns()
            self._came.set()

    async def wait(self) -> bytes:
        """The message's payload."""
        await self._came.wait()
        return self.payload


class NatsDoor:
    """Messages of operations. Deadlines are those of the caller's cancel scope."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._stream = client.jetstream(timeout=PUBACK_WITHIN_S)
        self._namespace = namespace
        self._expected: dict[str, Completion] = {}

    @property
    def connected(self) -> bool:
        """Whether the client believes that it is connected."""
        return self._client.is_connected

    def subject(self, rest: str) -> str:
        """A subject of the run's namespace."""
        return f"{self._namespace}.{rest}"

    @contextmanager
    def completion(self, op_id: str) -> Iterator[Completion]:
        """Listen for the completion of an operation; begin before it is published."""
        self._expected[op_id] = one = Completion()
        try:
            yield one
        finally:
            del self._expected[op_id]

    async def enqueue(self, call: Call, subject: str, payload: bytes) -> Answer | None:
        """Publish to JetStream. None when it is accepted or may be (no PubAck in time), else what refused it."""
        if not self.connected:
            return driver_failure("connect-refused", UNSENT)
        try:
            await self._stream.publish(subject, payload, headers={**call.queued_headers(), "Nats-Msg-Id": call.op_id})
        except TimeoutError:  # it may be stored all the same: the completion will tell
            return None
        except nats.js.errors.APIError as error:
            return refusal(error.code, f"JetStream refused: {error.description}")
        except nats.errors.Error as error:
            return failure(error, subject)
        call.accepted()
        return None

    async def request(self, call: Call, subject: str, payload: bytes) -> bytes | Answer:
        """Request and reply: the reply's payload, or what went wrong instead."""
        if not self.connected:
            call.ended()
            return driver_failure("connect-refused", UNSENT)
        try:
            reply = await self._client.request(subject, payload, timeout=call.wait_s + 1, headers=call.queued_headers())
        except nats.errors.Error as error:
            call.ended()
            return failure(error, subject)
        call.received()
        call.ended()
        return reply.data

    async def completed(self, message: Msg) -> None:
        """Hand a result to the operation that waits for it; results of others are not ours."""
        one = self._expected.get(message.subject.rpartition(".")[2])
        if one is not None:
            one.set(message.data)


@asynccontextmanager
async def open_nats(url: str, namespace: str) -> AsyncIterator[NatsDoor]:
    """Connect (until the caller's deadline) and listen for results; lost connections are restored for as long as the block runs."""
    async with open_client(url) as client:
        door = NatsDoor(client, namespace)
        await client.subscribe(door.subject("results.>"), cb=door.completed)
        await flush(client, _CONNECT_TIMEOUT_S)
        yield door


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[Client]:
    """A connected client that buffers nothing while it is disconnected, and comes back for as long as the block runs."""
    client, log = Client(), _ConnectionLog()
    try:
        await client.connect(
            url,
            connect_timeout=_CONNECT_TIMEOUT_S,
            reconnect_time_wait=_RECONNECT_WAIT_S,  # type: ignore[arg-type]  # annotated int, used in asyncio.sleep
            max_reconnect_attempts=-1,
            ping_interval=_PING_INTERVAL_S,
            max_outstanding_pings=2,
            pending_size=0,  # a buffered publish would be delivered long after its operation failed
            error_cb=log.error,
            reconnected_cb=log.reconnected,
        )
        yield client
    finally:
        with anyio.move_on_after(_CLOSE_WITHIN_S, shield=True):
            await client.close()


async def flush(client: Client, within_s: float) -> None:
    """Wait until the server took all that was sent. Raises nats.errors.TimeoutError and what else the client raises."""
    for _ in range(2):  # one PING may overtake what is queued
        await client.flush(within_s)  # type: ignore[arg-type]  # annotated int, used as seconds


class _ConnectionLog:
    """One line for each change of state: reconnecting fails five times a second for as long as a link is down."""

    def __init__(self) -> None:
        self._last = ""

    async def error(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._last:
            _log.warning("nats: %s", text)
        self._last = text

    async def reconnected(self) -> None:
        _log.warning("nats: connected again")
        self._last = ""


def failure(error: nats.errors.Error, subject: str, broker: str = "nats") -> Answer:
    """A client error, by what it says about the connection."""
    if isinstance(error, nats.errors.NoRespondersError | nats.js.errors.NoStreamResponseError):
        return refusal(503, f"NATS has no responders on {subject}", broker)
    if isinstance(error, nats.errors.OutboundBufferLimitError):
        return driver_failure("connect-refused", UNSENT)
    closed = isinstance(error, nats.errors.ConnectionClosedError | nats.errors.StaleConnectionError)
    return driver_failure("closed" if closed else "protocol", f"{type(error).__name__}: {error}")


def refusal(status: int | None, detail: str, broker: str = "nats") -> Answer:
    """The broker's own refusal: it answers for itself, so it is the dependency that failed."""
    code = "dependency_unavailable" if status == 503 else "dependency_error"
    return Answer(kind=AnswerKind.ERROR, status=status, code=code, dependency=broker, detail=excerpt(detail))
