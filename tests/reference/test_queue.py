"""Tasks over JetStream and requests over NATS."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import nats
import pytest
from nats.aio.client import Client

from tests.reference.rig import Backend, Op, Post, envelope


@asynccontextmanager
async def _driver(backend: Backend) -> AsyncIterator[Client]:
    client = await nats.connect(backend.nats_server.url.reveal())
    try:
        yield client
    finally:
        await client.close()


async def _submit(client: Client, backend: Backend, op: Op, **changes: object) -> Any:
    task = {"tenant": "acme", "task": f"tell me {op.nonce}", "query": "anything", "op_id": op.id} | changes
    subject = f"{backend.namespace}.tasks.acme"
    return await client.jetstream().publish(subject, envelope("task", **task), headers=op.queue_headers())


async def _perform(client: Client, backend: Backend, op: Op, **changes: object) -> tuple[str, dict[str, Any], Any]:
    results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
    await client.flush()
    await _submit(client, backend, op, **changes)
    message = await results.next_msg(timeout=30)
    result = msgspec.json.decode(message.data)
    return result["message_type"], result["data"], message.headers


async def test_queued_task_gives_one_result(backend: Backend, op: Op) -> None:
    """A task is acknowledged, its result is announced with the operation's trace, and a duplicate changes nothing."""
    async with _driver(backend) as client:
        kind, result, headers = await _perform(client, backend, op)
        assert (kind, result["tenant"]) == ("task.result", "acme")
        assert backend.digest(op.nonce) in result["text"]
        assert headers["traceparent"].split("-")[1] == op.trace_id
        assert headers["baggage"] == f"op.id={op.id}"
        assert int(headers["X-Budget-Ms"]) < op.budget_ms
        assert (await _submit(client, backend, op)).duplicate
        stored = await client.jetstream().streams_info()
        assert {s.config.name for s in stored} >= {
            f"{backend.namespace.upper()}_{n}" for n in ("TASKS", "RESULTS", "DOCUMENTS")
        }


@pytest.mark.parametrize("budget_ms", [0, 80])
async def test_expired_task_is_answered_as_such(backend: Backend, budget_ms: int) -> None:
    """A task whose deadline has passed, or is too near, is not performed; its result says so, and blames nobody."""
    async with _driver(backend) as client:
        kind, problem, _ = await _perform(client, backend, Op(budget_ms=budget_ms))
        assert (kind, problem["code"], problem["retryable"]) == ("problem", "deadline_exceeded", False)
        assert problem["dependency"] is None


async def test_unreadable_task_is_refused_by_name_of_its_headers(backend: Backend, op: Op) -> None:
    """A task that cannot be read is answered with a problem, since its headers tell who asked."""
    async with _driver(backend) as client:
        kind, problem, _ = await _perform(client, backend, op, tenant=7)
        assert (kind, problem["code"]) == ("problem", "invalid_request")


async def test_unreadable_budgets_are_refused(backend: Backend, op: Op) -> None:
    """A budget that is no number is told to the sender, on the queue and on request and reply."""
    async with _driver(backend) as client:
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await client.flush()
        headers = op.queue_headers() | {"X-Deadline-Unix-Ms": "tomorrow"}
        await client.jetstream().publish(f"{backend.namespace}.tasks.acme", envelope("task"), headers=headers)
        result = msgspec.json.decode((await results.next_msg(timeout=10)).data)
        headers = op.headers | {"X-Budget-Ms": "plenty"}
        answer = await client.request(f"{backend.namespace}.gateway.requests", b"{}", timeout=10, headers=headers)
        for told in (result, msgspec.json.decode(answer.data)):
            assert (told["message_type"], told["data"]["code"]) == ("problem", "invalid_request")
            assert "whole number of milliseconds" in told["data"]["detail"]


async def test_failed_attempt_is_tried_again_within_the_deadline(backend: Backend) -> None:
    """A task whose first attempts find the gateway gone succeeds once it is back."""
    op = Op(budget_ms=20_000)
    async with _driver(backend) as client:
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await client.flush()
        backend["agent>gateway"].fault("refuse")
        await _submit(client, backend, op)
        consumer = await _until_redelivered(client, backend)
        assert consumer.num_redelivered > 0
        backend["agent>gateway"].heal()
        message = await results.next_msg(timeout=30)
        assert msgspec.json.decode(message.data)["message_type"] == "task.result"


async def _until_redelivered(client: Client, backend: Backend) -> Any:
    deadline = time.monotonic() + 15
    while True:
        consumer = await client.jetstream().consumer_info(f"{backend.namespace.upper()}_TASKS", "agent")
        if consumer.num_redelivered or time.monotonic() > deadline:
            return consumer
        await asyncio.sleep(0.05)


async def test_task_that_cannot_succeed_ends_with_its_problem(backend: Backend) -> None:
    """When the deadline leaves no room for another attempt, the result is the last problem, naming the root."""
    op = Op(budget_ms=1500)
    backend["gateway>provider"].fault("refuse")
    async with _driver(backend) as client:
        kind, problem, _ = await _perform(client, backend, op)
        assert (kind, problem["code"], problem["dependency"]) == ("problem", "dependency_unavailable", "provider")
        assert problem["trace_id"] == op.trace_id


async def test_attempts_of_layers_do_not_multiply(backend: Backend) -> None:
    """A task is attempted three times, with pauses, and its model call once in each: the gateway leaves it to the queue."""
    op = Op(budget_ms=20_000)
    backend["gateway>provider"].answer(503)
    async with _driver(backend) as client:
        kind, problem, _ = await _perform(client, backend, op)
        assert (kind, problem["code"], problem["dependency"]) == ("problem", "dependency_unavailable", "provider")
    requests = backend["gateway>provider"].requests()
    assert [request["traceparent"].split("-")[1] for request in requests] == [op.trace_id] * 3
    assert {request["baggage"].split(",")[0] for request in requests} == {f"op.id={op.id}"}


async def test_retry_after_reaches_who_asked_over_nats(backend: Backend, op: Op) -> None:
    """The pause that a provider asks for stands in the problem: on NATS no header could carry it."""
    backend["gateway>provider"].answer(429, Retry_After="60")
    body = envelope("chat.request", messages=[{"role": "user", "content": op.nonce}], model="ref-chat")
    async with _driver(backend) as client:
        subject = f"{backend.namespace}.gateway.requests"
        answer = await client.request(subject, body, timeout=10, headers=op.headers)
        problem = msgspec.json.decode(answer.data)["data"]
        assert (problem["code"], problem["retry_after_s"]) == ("rate_limited", 60)
        kind, problem, _ = await _perform(client, backend, op)
        assert (kind, problem["code"], problem["retry_after_s"]) == ("problem", "rate_limited", 60)


async def test_chat_request_over_nats(backend: Backend, op: Op) -> None:
    """The gateway's queue answers a request, with headers of its own."""
    body = envelope("chat.request", messages=[{"role": "user", "content": op.nonce}], model="ref-chat")
    subject = f"{backend.namespace}.gateway.requests"
    async with _driver(backend) as client:
        answer = await client.request(subject, body, timeout=10, headers=op.headers)
        reply = msgspec.json.decode(answer.data)
        assert reply["message_type"] == "chat.response"
        assert backend.digest(op.nonce) in reply["data"]["text"]
        assert answer.headers is not None
        assert op.trace_id in answer.headers["traceparent"]
        assert op.span_id not in answer.headers["traceparent"]
        answer = await client.request(subject, b"{}", timeout=10, headers=op.headers)
        assert msgspec.json.decode(answer.data)["data"]["code"] == "invalid_request"
        backend["gateway>provider"].fault("refuse")
        answer = await client.request(subject, body, timeout=10, headers=op.headers)
        problem = msgspec.json.decode(answer.data)["data"]
        assert (problem["code"], problem["dependency"]) == ("dependency_unavailable", "provider")


async def test_agent_consumes_again_after_nats_was_lost(backend: Backend) -> None:
    """A lost connection to NATS stops nothing for good: the next task is performed."""
    async with _driver(backend) as client:
        backend["agent>nats"].fault("refuse")
        op = Op(budget_ms=30_000)
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await _submit(client, backend, op)
        backend["agent>nats"].heal()
        message = await results.next_msg(timeout=30)
        assert msgspec.json.decode(message.data)["message_type"] == "task.result"


async def test_task_survives_postgres_being_away(backend: Backend) -> None:
    """A task that arrives while the agent's Postgres is gone is performed when it is back, within its deadline."""
    op = Op(budget_ms=20_000)
    async with _driver(backend) as client:
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await client.flush()
        backend["agent>postgres"].fault("refuse")
        await _submit(client, backend, op)
        await _until_redelivered(client, backend)
        backend["agent>postgres"].heal()
        message = await results.next_msg(timeout=30)
        assert msgspec.json.decode(message.data)["message_type"] == "task.result"


async def test_ingest_is_announced_once(backend: Backend, post: Post, op: Op) -> None:
    """A stored document is announced on JetStream with its key as the message id, and its outbox row goes."""
    body = envelope("document.ingest", tenant="acme", doc_id=secrets.token_hex(4), title="T", text="some words")
    async with _driver(backend) as client:
        announced = await client.subscribe(f"{backend.namespace}.documents.ingested")
        await client.flush()
        answer = await post(backend, "api", "/v1/documents", body, op)
        while True:
            message = await announced.next_msg(timeout=10)
            assert message.headers is not None
            if message.headers["Nats-Msg-Id"] == op.id:
                break
        assert msgspec.json.decode(message.data)["data"] == answer.json()["data"]


async def test_a_killed_agent_leaves_neither_loss_nor_double(backend: Backend) -> None:
    """A task whose agent dies in the middle is performed by the next one, and is stored exactly once."""
    op = Op(budget_ms=30_000)
    async with _driver(backend) as client:
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await client.flush()
        backend["agent>gateway"].fault("mute")
        await _submit(client, backend, op)
        await _until(lambda: op.trace_id in bytes(backend["agent>gateway"].sent).decode())
        backend.services["agent"].end()
        backend["agent>gateway"].heal()
        backend.start("agent")
        message = await results.next_msg(timeout=30)
        assert msgspec.json.decode(message.data)["message_type"] == "task.result"
    connection = await asyncpg.connect(backend.postgres.dsn.reveal())
    try:
        for table in ("tasks", "memory"):
            sql = f"SELECT count(*) FROM {backend.namespace}.{table} WHERE op_id = $1"
            assert await connection.fetchval(sql, op.id) == 1
    finally:
        await connection.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)
