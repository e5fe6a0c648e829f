"""End to end: the whole way of a question, and several components at once."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.integration.rig import Operation, System, envelope

pytestmark = pytest.mark.integration


async def test_question_and_answer(system: System, op: Operation) -> None:
    """Documents go in, a question comes, the answer rests on the right one and says which."""
    stored = [Operation() for _ in range(3)]
    texts = {
        "owls": "owls hunt by night and hear a mouse under snow",
        "rivers": "rivers carry silt and build a delta where they end",
        "clocks": "clocks were set by the noon gun in the harbour",
    }
    for writer, (doc_id, text) in zip(stored, texts.items(), strict=True):
        writer.tenant = op.tenant
        assert (await system.ingest(writer, doc_id, f"{text} {writer.nonce}")).status_code == 201
    question = envelope("question", tenant=op.tenant, question=f"where do rivers build a delta? {op.nonce}")
    data = (await system.post("api", "/v1/ask", question, op)).json()["data"]
    assert data["sources"][0]["doc_id"] == "rivers"
    assert data["sources"][0]["title"] == "About rivers"
    assert system.digest(op.nonce) in data["text"]
    assert system.digest(stored[1].nonce) in data["text"]
    assert data["usage"]["total_tokens"] > 0


async def test_all_ways_in_at_once(system: System) -> None:
    """Questions, tasks, queued tasks, chats and documents beside each other each get their own answer."""
    ops = [Operation(budget_ms=20_000) for _ in range(5)]
    async with system.nats() as client:
        ask, task, chat = (
            envelope("question", tenant=ops[0].tenant, question=ops[0].nonce),
            envelope("task", tenant=ops[1].tenant, task=ops[1].nonce, query="anything"),
            {"model": "ref-chat", "messages": [{"role": "user", "content": ops[2].nonce}]},
        )
        asked, done, chatted, queued, stored = await asyncio.gather(
            system.post("api", "/v1/ask", ask, ops[0]),
            system.post("api", "/v1/agent/tasks", task, ops[1]),
            system.post("gateway", "/v1/chat/completions", chat, ops[2]),
            system.queued_task(client, ops[3], "anything"),
            system.ingest(ops[4], "aside", "some words"),
        )
    texts = [asked.text, done.text, chatted.text, str(queued)]
    assert [system.digest(op.nonce) in text for op, text in zip(ops, texts, strict=False)] == [True] * 4
    assert stored.status_code == 201
