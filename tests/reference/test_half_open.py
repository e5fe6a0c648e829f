"""Connections that are dead without being closed, and servers that report errors: noticed, given up, made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import nats
import pytest

from tests.reference.effects import effects_of
from tests.reference.rig import Backend, Op, OpenBackend, Post, envelope


@pytest.fixture(scope="module")
def shared_backend(open_backend: OpenBackend) -> Iterator[Backend]:
    """A backend that soon gives up waiting for Postgres."""
    with open_backend() as backend:
        backend.start("provider", "gateway", "rag", "agent", DB_TIMEOUT_MS="500")
        yield backend


async def test_half_open_postgres(backend: Backend, post: Post) -> None:
    """Each dead connection costs one caller a 504 in time and is given up; new ones serve the next callers."""
    search = envelope("search.query", tenant="acme", query="words")
    assert (await post(backend, "rag", "/v1/search", search, Op())).status_code == 200
    backend["rag>postgres"].strand()
    answers = [await post(backend, "rag", "/v1/search", search, Op())]
    while answers[-1].status_code != 200:
        assert (answers[-1].status_code, answers[-1].json()["dependency"]) == (504, "postgres")
        answers.append(await post(backend, "rag", "/v1/search", search, Op()))
        assert len(answers) <= 9  # a pool has eight connections
    assert len(answers) > 1


async def test_half_open_nats(backend: Backend) -> None:
    """A connection to NATS that has gone silent is found by its pings and replaced: the next task has its result."""
    op = Op(budget_ms=30_000)
    async with effects_of(backend) as effects:
        backend["agent>nats"].strand()
        await effects.submit(op)
        await effects.quiet()
        assert [one["message_type"] for one in await effects.messages("RESULTS", op)] == ["task.result"]


@pytest.mark.parametrize("error", ["'Unknown Protocol Operation'", "'Stale Connection'", "'Authorization Violation'"])
async def test_errors_of_the_nats_server(backend: Backend, error: str) -> None:
    """Whatever error the server reports, agent and gateway are connected and subscribed again soon."""
    for service in ("agent", "gateway", "rag"):
        backend[f"{service}>nats"].inject(f"-ERR {error}\r\n".encode())
    op = Op(budget_ms=30_000)
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await effects.quiet()
        assert [one["message_type"] for one in await effects.messages("RESULTS", op)] == ["task.result"]
    assert await _queued_chat(backend, op) == "chat.response"
    assert all(service.process.poll() is None for service in backend.services.values())


async def _queued_chat(backend: Backend, op: Op) -> str:
    """The type of the gateway's answer over NATS, once it listens again."""
    body = envelope("chat.request", messages=[{"role": "user", "content": op.nonce}], model="ref-chat")
    client = await nats.connect(backend.nats_server.url.reveal())
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    subject = f"{backend.namespace}.gateway.requests"
                    answer = await client.request(subject, body, timeout=10, headers=op.headers)
                    return str(msgspec.json.decode(answer.data)["message_type"])
                except nats.errors.NoRespondersError:
                    await asyncio.sleep(0.05)
    finally:
        await client.close()
