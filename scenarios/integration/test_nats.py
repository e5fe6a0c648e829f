"""NATS with agents, gateway and RAG: distribution, request and reply, announcements, failures and timeouts."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from scenarios.integration.rig import Operation, System, envelope

pytestmark = pytest.mark.integration


async def test_tasks_are_distributed_and_each_is_done_once(system: System) -> None:
    """Twenty tasks queued at once all give their own result, and leave one memory each."""
    ops = [Operation(budget_ms=30_000) for _ in range(20)]
    async with system.nats() as client:
        results = await asyncio.gather(*(system.queued_task(client, op, "anything") for op in ops))
    for op, result in zip(ops, results, strict=True):
        assert result["message_type"] == "task.result"
        assert system.digest(op.nonce) in result["data"]["text"]
    counts = await system.rows(
        "SELECT count(*) AS n FROM memory WHERE op_id = ANY($1) GROUP BY op_id", [op.id for op in ops]
    )
    assert [row["n"] for row in counts] == [1] * len(ops)


async def test_requests_are_queued_and_answers_delivered(system: System) -> None:
    """The gateway answers each request to the one who asked."""
    ops = [Operation() for _ in range(10)]

    async with system.nats() as client:

        async def ask(op: Operation) -> str:
            body = envelope("chat.request", messages=[{"role": "user", "content": op.nonce}], model="ref-chat")
            subject = f"{system.namespace}.gateway.requests"
            answer = await client.request(subject, body, timeout=30, headers=op.headers)
            return str(msgspec.json.decode(answer.data)["data"]["text"])

        texts = await asyncio.gather(*map(ask, ops))
    assert all(system.digest(op.nonce) in text for op, text in zip(ops, texts, strict=True))


async def test_ingestion_is_announced_also_after_an_outage(system: System, op: Operation) -> None:
    """A document stored while RAG has lost NATS is announced once it is back."""
    async with system.nats() as client:
        announced = await client.subscribe(f"{system.namespace}.documents.ingested")
        await client.flush()
        with system.fault("refuse", "rag>nats"):
            assert (await system.ingest(op, "announced-late", "some words")).status_code == 201
        async with asyncio.timeout(30):
            while True:
                message = await announced.next_msg(timeout=30)
                if (message.headers or {}).get("Nats-Msg-Id") == op.id:
                    break
    assert msgspec.json.decode(message.data)["data"]["doc_id"] == "announced-late"


async def test_an_outage_delays_tasks_and_loses_none(system: System) -> None:
    """A task queued while the agent has lost NATS is done when it is back."""
    op = Operation(budget_ms=30_000)
    async with system.nats() as client:
        with system.fault("refuse", "agent>nats"):
            waiting = asyncio.create_task(system.queued_task(client, op, "anything"))
            stream = f"{system.namespace.upper()}_TASKS"
            async with asyncio.timeout(20):
                while (await client.jetstream().stream_info(stream)).state.messages == 0:
                    await asyncio.sleep(0.02)
            assert not waiting.done()
        assert (await waiting)["message_type"] == "task.result"


async def test_a_task_past_its_deadline_is_answered_as_such(system: System) -> None:
    """Nothing is done for a task that nobody waits for any more."""
    op = Operation(budget_ms=0)
    async with system.nats() as client:
        result = await system.queued_task(client, op, "anything")
    assert (result["message_type"], result["data"]["code"]) == ("problem", "deadline_exceeded")
    assert await system.rows("SELECT FROM memory WHERE op_id = $1", op.id) == []
