"""Defects in what travels with a call (trace, budget, tenant, deadline), each beside the correct backend."""

from __future__ import annotations

import asyncio

import pytest

from tests.reference.effects import effects_of
from tests.reference.rig import Backend, Defective, Op, Post, envelope

_BELOW_RAG = ("provider", "gateway", "rag")


def _question(op: Op, tenant: str = "acme") -> bytes:
    return envelope("question", tenant=tenant, question=op.nonce)


async def test_traceparent_dropped_on_publish(defective: Defective, backend: Backend) -> None:
    """A result names its operation and its trace, or else only its operation."""
    broken = defective("traceparent-dropped-on-publish")
    for one, traced in ((backend, True), (broken, False)):
        op = Op()
        async with effects_of(one) as effects:
            await effects.submit(op)
            await effects.quiet()
            [headers] = await effects.headers("RESULTS", op)
            assert ("traceparent" in headers) is traced
            assert headers["baggage"] == f"op.id={op.id}"


async def test_header_copied_unchanged(defective: Defective, backend: Backend, post: Post) -> None:
    """The agent's calls name the agent's spans as their parents, or else its caller's."""
    broken = defective("header-copied-unchanged")
    task = envelope("task", tenant="acme", task="something", query="anything")
    for one, copied in ((backend, False), (broken, True)):
        op = Op()
        assert (await post(one, "agent", "/v1/tasks", task, op)).status_code == 200
        sent = [request["traceparent"] for link in ("agent>gateway", "agent>rag") for request in one[link].requests()]
        assert len(sent) == 3
        assert {parent.split("-")[1] for parent in sent} == {op.trace_id}
        assert {parent == op.headers["traceparent"] for parent in sent} == {copied}
        below = [request["traceparent"] for request in one["rag>gateway"].requests()]
        assert op.headers["traceparent"] not in below


async def test_budget_not_passed_on(defective: Defective, backend: Backend, post: Post) -> None:
    """A callee is told less than the caller was, or else the caller's own timeout, which is more."""
    broken = defective("budget-not-passed-on", *_BELOW_RAG)
    for one, grows in ((backend, False), (broken, True)):
        op = Op(budget_ms=5000)
        assert (await post(one, "rag", "/v1/query", _question(op), op)).status_code == 200
        told = [int(r["x-budget-ms"]) for link in ("rag>gateway", "gateway>provider") for r in one[link].requests()]
        assert len(told) == 4
        assert {budget_ms > op.budget_ms for budget_ms in told} == {grows}


async def test_other_tenant_answer(defective: Defective, backend: Backend, post: Post) -> None:
    """When the provider is gone the correct service says so, the other one gives out what another tenant was told."""
    broken = defective("other-tenant-answer", *_BELOW_RAG)
    for one in (backend, broken):
        first = await post(one, "rag", "/v1/query", _question(Op(), "amber"), Op())
        assert first.json()["data"]["tenant"] == "amber"
        one["gateway>provider"].fault("refuse")
        second = await post(one, "rag", "/v1/query", _question(Op(), "birch"), Op())
        assert second.status_code == (503 if one is backend else 200)
    assert second.json() == first.json()


async def _outbox_has_polled(backend: Backend) -> None:
    """Wait for a poll of rag's outbox, which found nothing and pauses now: the next search gets the connection it used.

    Else the outbox may have the only connection in hand, and the search opens another one.
    """
    link = backend["rag>postgres"]
    link.received.clear()
    async with asyncio.timeout(30):
        while b"SELECT 0\0" not in bytes(link.received):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("stall", ["mute", "strand"])
async def test_no_pool_acquire_timeout(defective: Defective, backend: Backend, post: Post, stall: str) -> None:
    """A Postgres that goes silent, or whose connections are dead, is a 504 in time, or else no answer at all."""
    broken = defective("no-pool-acquire-timeout", *_BELOW_RAG)
    search = envelope("search.query", tenant="acme", query="words")
    for one in (backend, broken):
        assert (await post(one, "rag", "/v1/search", search, Op())).status_code == 200
        if stall == "mute":
            one["rag>postgres"].fault("mute")
        else:
            await _outbox_has_polled(one)
            one["rag>postgres"].strand()
    answer = await post(backend, "rag", "/v1/search", search, Op(budget_ms=1000))
    assert (answer.status_code, answer.json()["dependency"]) == (504, "postgres")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.gather(*(post(broken, "rag", "/v1/search", search, Op(budget_ms=1000)) for _ in range(10)))
    # Not even this keeps the process from ending when it is told to.
    assert broken.services["rag"].stop() == 0
