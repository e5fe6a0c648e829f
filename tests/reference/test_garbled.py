"""Messages damaged on their way, as long as they were: told as the failure of who sent them, and nobody ends over them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import pytest

from tests.reference.effects import effects_of
from tests.reference.rig import Backend, Op, OpenBackend, Post, envelope

_SEARCH = envelope("search.query", tenant="acme", query="words")
_JSON_REPLY = re.compile(rb"(MSG _INBOX\S+ \S+ (?:\S+ )?\d+\r\n)(\{[^\r]*)(\r\n)")


@pytest.fixture(scope="module")
def shared_backend(open_backend: OpenBackend) -> Iterator[Backend]:
    """A backend that soon gives up waiting for NATS."""
    with open_backend() as backend:
        backend.start(NATS_TIMEOUT_MS="1000")
        yield backend


def _rows_garbled(data: bytes) -> bytes:
    """Whole messages of Postgres with the contents of their rows unreadable."""
    garbled, pos = bytearray(data), 0
    while pos + 5 <= len(data):
        kind, size = struct.unpack_from(">cI", data, pos)
        if kind == b"D":
            garbled[pos + 5 : pos + 1 + size] = b"\xff" * (size - 4)
        pos += 1 + size
    return bytes(garbled)


def _replies_garbled(data: bytes) -> bytes:
    """The JSON answers of JetStream made unreadable."""
    return _JSON_REPLY.sub(lambda match: match[1] + b"\xc1" * len(match[2]) + match[3], data)


async def test_garbled_rows(backend: Backend, post: Post, op: Op) -> None:
    """Rows that cannot be read are Postgres' failure, 502, and their connection is not used again."""
    body = envelope("document.ingest", tenant="acme", doc_id=op.id, title="T", text="words")
    assert (await post(backend, "rag", "/v1/documents", body, op)).status_code == 201
    backend["rag>postgres"].edit_received = _rows_garbled
    answer = await post(backend, "rag", "/v1/search", _SEARCH, op)
    assert (answer.status_code, answer.json()["code"]) == (502, "dependency_error")
    assert answer.json()["dependency"] == "postgres"
    backend["rag>postgres"].edit_received = None
    assert (await post(backend, "rag", "/v1/search", _SEARCH, op)).status_code == 200


async def test_garbled_request(backend: Backend, post: Post, op: Op) -> None:
    """A request that was damaged after the api had checked it is nobody's 422."""
    backend["api>rag"].edit_sent = lambda data: data.replace(b'"message_type"', b'"message_typo"')
    answer = await post(backend, "api", "/v1/ask", envelope("question", tenant="acme", question="what"), op)
    assert (answer.status_code, answer.json()["code"], answer.json()["dependency"]) == (502, "dependency_error", "rag")


async def test_garbled_acknowledgement_of_a_publish(backend: Backend, op: Op) -> None:
    """A PubAck that cannot be read is none: the result is published again and stored once."""
    async with effects_of(backend) as effects:
        backend["agent>nats"].edit_received = _replies_garbled
        await effects.submit(op)
        await backend["agent>nats"].sees(f".results.{op.id} ".encode(), times=2)
        backend["agent>nats"].edit_received = None
        await effects.quiet()
        assert [one["message_type"] for one in await effects.messages("RESULTS", op)] == ["task.result"]


async def test_garbled_answers_after_a_reconnect(backend: Backend, op: Op) -> None:
    """An agent that cannot read what JetStream says of streams and consumers asks again until it can."""
    async with effects_of(backend) as effects:
        backend["agent>nats"].edit_received = _replies_garbled
        backend["agent>nats"].cut()
        await backend["agent>nats"].sees(b"$JS.API.STREAM.CREATE", times=3)
        backend["agent>nats"].edit_received = None
        await effects.submit(op)
        await effects.quiet()
        assert [one["message_type"] for one in await effects.messages("RESULTS", op)] == ["task.result"]


async def test_garbled_task(backend: Backend, op: Op) -> None:
    """A task that was damaged on its way is delivered again before anybody is blamed for it."""
    damaged = 0

    def damage(data: bytes) -> bytes:
        nonlocal damaged
        if not damaged and b'"message_type":"task"' in data:
            damaged += 1
            return data.replace(b'"message_type":"task"', b'"message_type":"tusk"')
        return data

    async with effects_of(backend) as effects:
        backend["agent>nats"].edit_received = damage
        await effects.submit(op)
        await effects.quiet()
        assert damaged == 1
        assert [one["message_type"] for one in await effects.messages("RESULTS", op)] == ["task.result"]
