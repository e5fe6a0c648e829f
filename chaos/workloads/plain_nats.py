"""NATS for plain workloads: requests, publishing, and completions on whatever subjects the scenario names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from chaos.model.operation import Answer
from chaos.model.template import Placeholder, parse_template
from chaos.workloads.answers import driver_failure
from chaos.workloads.call import Call
from chaos.workloads.nats_door import PUBACK_WITHIN_S, UNSENT, Completion, failure, flush, open_client, refusal
from chaos.workloads.sockets import broken

__all__ = ["Message", "PlainNats", "open_plain_nats", "wildcard"]

_SUBSCRIBE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to send for an operation; `headers` beside those of the operation."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]


class PlainNats:
    """Messages of operations at one broker. Deadlines are those of the caller's cancel scope."""

    def __init__(self, client: Client, broker: str) -> None:
        self._client = client
        self._stream = client.jetstream(timeout=PUBACK_WITHIN_S)
        self._broker = broker
        self._by_subject: dict[str, Completion] = {}
        self._by_op_id: dict[str, Completion] = {}

    @contextmanager
    def completion(self, call: Call, subject: str | None) -> Iterator[Completion]:
        """Listen for the message that completes an operation: the next on `subject`, or (None) the next that holds its op id."""
        known, key = (self._by_op_id, call.op_id) if subject is None else (self._by_subject, subject)
        known[key] = one = Completion()
        try:
            yield one
        finally:
            if known.get(key) is one:
                del known[key]

    async def request(self, call: Call, message: Message) -> Msg | Answer:
        """The reply, or what went wrong instead."""
        if not self._client.is_connected:
            return driver_failure("connect-refused", UNSENT)
        try:
            return await self._client.request(
                message.subject, message.payload, timeout=call.wait_s + 1, headers=_headers(call, message)
            )
        except (nats.errors.Error, OSError) as error:
            return self._failure(error, message)

    async def publish(self, call: Call, message: Message, *, confirmed: bool) -> Answer | None:
        """Hand a message to the server. None when it went out and (`confirmed`) the server took it, else what went wrong."""
        if not self._client.is_connected:
            return driver_failure("connect-refused", UNSENT)
        try:
            await self._client.publish(message.subject, message.payload, headers=_headers(call, message))
            if confirmed:
                await flush(self._client, call.wait_s + 1)
        except (nats.errors.Error, OSError) as error:
            return self._failure(error, message)
        return None

    async def enqueue(self, call: Call, message: Message, *, within_s: float = PUBACK_WITHIN_S) -> Answer | None:
        """Publish to JetStream. None when it is accepted or may be (no PubAck in time), else what refused it."""
        if not self._client.is_connected:
            return driver_failure("connect-refused", UNSENT)
        headers = {"Nats-Msg-Id": call.op_id, **_headers(call, message)}
        try:
            await self._stream.publish(message.subject, message.payload, headers=headers, timeout=within_s)
        except TimeoutError:  # it may be stored all the same
            return None
        except nats.js.errors.APIError as error:
            return refusal(error.code, f"JetStream refused: {error.description}", self._broker)
        except (ValueError, KeyError, TypeError) as error:
            return driver_failure("protocol", f"no PubAck: {type(error).__name__}: {error}")
        except (nats.errors.Error, OSError) as error:
            return self._failure(error, message)
        call.accepted()
        return None

    def _failure(self, error: nats.errors.Error | OSError, message: Message) -> Answer:
        return broken(error) if isinstance(error, OSError) else failure(error, message.subject, self._broker)

    async def completed(self, message: Msg) -> None:
        """Hand a message to the operation that it completes; those of others are not ours."""
        one = self._by_subject.get(message.subject) or self._by_content(message)
        if one is not None:
            one.set(message.data, message.headers)

    def _by_content(self, message: Msg) -> Completion | None:
        if not self._by_op_id:
            return None
        text = message.data.decode("utf-8", "replace") + "\n".join((message.headers or {}).values())
        return next((one for op_id, one in self._by_op_id.items() if op_id in text), None)


def _headers(call: Call, message: Message) -> dict[str, str]:
    return {**call.queued_headers(), **message.headers}


def wildcard(template: str) -> str:
    """The subject that covers whatever a template of one becomes: tokens with a placeholder may be anything."""
    tokens = [""]
    for part in parse_template(template):
        if isinstance(part, Placeholder):
            if any("." in word for word in part.words):  # it may become several tokens
                return ".".join([*tokens[:-1], ">"])
            tokens[-1] = "*"
        else:
            first, *rest = part.split(".")
            tokens[-1] = tokens[-1] if tokens[-1] == "*" else tokens[-1] + first
            tokens += rest
    return ".".join(tokens)


@asynccontextmanager
async def open_plain_nats(url: str, broker: str, completions: Iterable[str]) -> AsyncIterator[PlainNats]:
    """Connect (until the caller's deadline) and listen on the subjects that templates of completions may become."""
    async with open_client(url) as client:
        door = PlainNats(client, broker)
        for subject in dict.fromkeys(map(wildcard, completions)):
            await client.subscribe(subject, cb=door.completed)
        await flush(client, _SUBSCRIBE_WITHIN_S)
        yield door
