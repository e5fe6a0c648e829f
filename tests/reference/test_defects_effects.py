"""Defects that lose or double effects; what the correct backend does under these faults shows test_redelivery."""

from __future__ import annotations

import asyncio
import re

from tests.reference.effects import effects_of
from tests.reference.rig import Backend, Defective, Op, Post, envelope

_ACK = re.compile(rb"PUB \$JS\.ACK\.\S+ +0\r\n\r\n")


async def test_duplicate_effect_on_retry(defective: Defective, post: Post, op: Op) -> None:
    """A document whose COMMIT got no reply is there twice, and announced twice, though the caller sees nothing of it."""
    backend = defective("duplicate-effect-on-retry", "provider", "gateway", "rag", "agent")
    backend["rag>postgres"].lose_reply(b"COMMIT")
    body = envelope("document.ingest", tenant="acme", doc_id="d", title="T", text=op.nonce)
    answer = await post(backend, "rag", "/v1/documents", body, op)
    assert (answer.status_code, answer.json()["data"]["doc_id"]) == (201, "d")
    async with effects_of(backend) as effects:
        await effects.quiet()
        assert await effects.rows("documents", op) == 2
        assert len(await effects.messages("DOCUMENTS", op)) == 2


async def _fail_once(backend: Backend, op: Op) -> None:
    """Let the first model call of a task fail, and be well again."""
    relay = backend["agent>gateway"]
    async with asyncio.timeout(20):
        while not [one for one in relay.requests() if op.trace_id in one["traceparent"]]:
            await asyncio.sleep(0.02)
    relay.heal()


async def test_ack_before_processing(defective: Defective, backend: Backend) -> None:
    """A task whose first attempt fails is tried again by the correct agent, and lost without a word by the other."""
    broken = defective("ack-before-processing")
    for one, found in ((backend, 1), (broken, 0)):
        op = Op(budget_ms=20_000)
        one["agent>gateway"].answer(503)
        async with effects_of(one) as effects:
            await effects.submit(op)
            await _fail_once(one, op)
            await effects.quiet()
            assert len(await effects.messages("RESULTS", op)) == found
            assert await effects.rows("tasks", op) == found
    # Nothing else is wrong with it: the next task is performed.
    async with effects_of(broken) as effects:
        op = Op()
        await effects.submit(op)
        async with asyncio.timeout(20):
            while not await effects.messages("RESULTS", op):
                await asyncio.sleep(0.05)


async def test_no_dedup_on_redelivery(defective: Defective, op: Op) -> None:
    """A task that is delivered again after its end is stored, remembered and announced again."""
    backend = defective("no-dedup-on-redelivery")
    backend["agent>nats"].edit_sent = lambda data: _ACK.sub(b"", data)
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await effects.redelivered()
        backend.heal()
        await effects.quiet()
        assert await effects.rows("tasks", op) > 1
        assert await effects.rows("memory", op) > 1
        assert len(await effects.messages("RESULTS", op)) > 1


async def test_announcement_without_id(defective: Defective, backend: Backend, post: Post) -> None:
    """An announcement whose acknowledgement is lost is stored once by the correct backend, and twice by the other."""
    for one, found in ((backend, 1), (defective("announcement-without-id", "provider", "gateway", "rag", "agent"), 2)):
        op = Op()
        one["rag>nats"].lose_reply(b".documents.ingested")
        body = envelope("document.ingest", tenant="acme", doc_id=f"d-{found}", title="T", text=op.nonce)
        assert (await post(one, "rag", "/v1/documents", body, op)).status_code == 201
        async with effects_of(one) as effects:
            await effects.quiet()
            assert await effects.rows("documents", op) == 1
            assert len(await effects.messages("DOCUMENTS", op)) == found
