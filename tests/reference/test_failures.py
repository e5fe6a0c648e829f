"""Each dependency refused, hung or cut: the answer is a problem that names the root, and arrives in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import msgspec
import pytest

from tests.reference.rig import Backend, Op, Post, envelope

Route = tuple[str, str, Callable[[Op], bytes]]

ROUTES: dict[str, Route] = {
    "ask": ("api", "/v1/ask", lambda op: envelope("question", tenant="acme", question=op.nonce)),
    "ingest": (
        "api",
        "/v1/documents",
        lambda op: envelope("document.ingest", tenant="acme", doc_id=op.id, title="T", text=op.nonce),
    ),
    "task": ("api", "/v1/agent/tasks", lambda op: envelope("task", tenant="acme", task=op.nonce, query="words")),
    "chat": (
        "gateway",
        "/v1/chat/completions",
        lambda op: msgspec.json.encode({"model": "ref-chat", "messages": [{"role": "user", "content": op.nonce}]}),
    ),
}

CASES = [
    ("ask", "api>rag", "rag"),
    ("ask", "rag>gateway", "gateway"),
    ("ask", "gateway>provider", "provider"),
    ("ask", "rag>postgres", "postgres"),
    ("ingest", "rag>postgres", "postgres"),
    ("task", "api>agent", "agent"),
    ("task", "agent>gateway", "gateway"),
    ("task", "agent>rag", "rag"),
    ("task", "agent>postgres", "postgres"),
    ("task", "rag>postgres", "postgres"),
    ("task", "gateway>provider", "provider"),
    ("chat", "gateway>provider", "provider"),
]


@pytest.mark.parametrize(("route", "link", "dependency"), CASES)
async def test_refused(backend: Backend, post: Post, op: Op, route: str, link: str, dependency: str) -> None:
    """A dependency that refuses connections is a 503 that names it, and once it is back all is well."""
    service, path, body = ROUTES[route]
    backend[link].fault("refuse")
    answer = await post(backend, service, path, body(op), op)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["code"]) == (503, "dependency_unavailable"), problem
    assert (problem["dependency"], problem["retryable"], problem["trace_id"]) == (dependency, True, op.trace_id)
    backend[link].heal()
    assert (await post(backend, service, path, body(Op()), Op())).status_code < 300


SILENCE = [("mute", *case) for case in CASES] + [("hang", *case) for case in CASES if case[0] == "task"]


@pytest.mark.parametrize(("mode", "route", "link", "dependency"), SILENCE)
async def test_hanging(backend: Backend, post: Post, mode: str, route: str, link: str, dependency: str) -> None:
    """A dependency that goes silent is a 504 that names it, told before the caller's budget ends."""
    service, path, body = ROUTES[route]
    op = Op(budget_ms=2000)  # hops are told a share less each: of more time that is more
    assert (await post(backend, service, path, body(Op()), Op())).status_code < 300
    backend[link].fault(mode)
    answer = await post(backend, service, path, body(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (504, "dependency_timeout"), problem
    assert problem["dependency"] == dependency
    assert answer.elapsed.total_seconds() < 5
    backend[link].heal()
    assert (await post(backend, service, path, body(Op()), Op())).status_code < 300


@pytest.mark.parametrize("link", ["rag>postgres", "agent>postgres"])
async def test_pooled_connections_are_replaced_after_a_cut(backend: Backend, post: Post, link: str) -> None:
    """Connections that were cut at rest cost no operation: reads and BEGIN are tried once more."""
    service, path, body = ROUTES["ask" if link.startswith("rag") else "task"]
    assert (await post(backend, service, path, body(Op()), Op())).status_code == 200
    for _ in range(3):
        backend[link].cut()
        assert (await post(backend, service, path, body(Op()), Op())).status_code == 200


async def test_many_hanging_statements_leave_the_pool_whole(backend: Backend, post: Post) -> None:
    """More statements than the pool has connections time out, and all its places are usable afterwards."""
    service, path, body = ROUTES["ask"]
    backend["rag>postgres"].fault("mute")
    ops = [Op(budget_ms=500) for _ in range(20)]
    answers = await asyncio.gather(*(post(backend, service, path, body(op), op) for op in ops))
    assert {answer.status_code for answer in answers} == {504}
    backend["rag>postgres"].heal()
    for _ in range(3):
        answers = await asyncio.gather(*(post(backend, service, path, body(Op()), Op()) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}


async def test_nats_away_delays_announcements_only(backend: Backend, post: Post) -> None:
    """Ingest needs NATS for the announcement alone: it answers while NATS is away."""
    service, path, body = ROUTES["ingest"]
    backend["rag>nats"].fault("refuse")
    assert (await post(backend, service, path, body(Op()), Op())).status_code == 201


async def test_budget_shrinks_from_hop_to_hop(backend: Backend, post: Post) -> None:
    """Every hop passes on less than it got, and no hop copies the parent id or loses the operation id."""
    op = Op(budget_ms=1200)
    service, path, body = ROUTES["ask"]
    assert (await post(backend, service, path, body(op), op)).status_code == 200
    chain = ["api>rag", "rag>gateway", "gateway>provider"]
    requests = {link: [r for r in backend[link].requests() if op.trace_id in r["traceparent"]] for link in chain}
    budgets = [[int(request["x-budget-ms"]) for request in requests[link]] for link in chain]
    assert [len(found) for found in budgets] == [1, 2, 2]
    for above, below in zip([[op.budget_ms], *budgets], budgets, strict=False):
        assert max(below) < max(above)
        assert min(below) < min(above)
    parents = [request["traceparent"].split("-")[2] for link in chain for request in requests[link]]
    assert len({*parents, op.span_id}) == 6
    assert {request["baggage"] for link in chain for request in requests[link]} == {f"op.id={op.id}"}


async def test_budget_used_up_on_arrival(backend: Backend, post: Post) -> None:
    """A request without any time left is answered at once, with nothing called below."""
    op = Op(budget_ms=0)
    service, path, body = ROUTES["ask"]
    answer = await post(backend, service, path, body(op), op)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    assert backend["api>rag"].requests() == []


ATTEMPTS = [
    (503, 3, 503, "dependency_unavailable"),
    (429, 3, 429, "rate_limited"),
    (500, 1, 502, "dependency_error"),
    (504, 1, 504, "dependency_timeout"),
    (400, 1, 502, "dependency_error"),
    (200, 1, 502, "dependency_error"),
]


@pytest.mark.parametrize(("given", "attempts", "status", "code"), ATTEMPTS)
async def test_attempts_at_the_provider(
    backend: Backend, post: Post, op: Op, given: int, attempts: int, status: int, code: str
) -> None:
    """Only 429 and 503 are tried again, three times in all; each attempt is a span of its own in the trace."""
    service, path, body = ROUTES["ask"]
    backend["gateway>provider"].answer(given, b"sorry")
    answer = await post(backend, service, path, body(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["dependency"]) == (status, code, "provider")
    requests = backend["gateway>provider"].requests()
    assert len(requests) == attempts
    assert {request["traceparent"].split("-")[1] for request in requests} == {op.trace_id}
    assert len({request["traceparent"] for request in requests}) == attempts
    budgets = [int(request["x-budget-ms"]) for request in requests]
    assert sorted(set(budgets), reverse=True) == budgets


async def test_retry_after_is_respected_and_kept(backend: Backend, post: Post, op: Op) -> None:
    """A pause that does not fit into the budget is not waited for: the caller learns how long it would be."""
    service, path, body = ROUTES["ask"]
    backend["gateway>provider"].answer(429, Retry_After="60")
    answer = await post(backend, service, path, body(op), op)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "rate_limited", "60")
    assert len(backend["gateway>provider"].requests()) == 1


@pytest.mark.parametrize("route", ["ask", "task", "chat"])
async def test_retry_after_is_waited_for(backend: Backend, post: Post, op: Op, route: str) -> None:
    """A pause that fits is kept before the next attempt, which then succeeds."""
    service, path, body = ROUTES[route]
    backend["gateway>provider"].answer(429, Retry_After="1", times=1)
    answer = await post(backend, service, path, body(op), op)
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 1


@pytest.mark.parametrize("route", ["ask", "task", "chat"])
async def test_no_attempt_that_is_sure_to_be_late(backend: Backend, post: Post, route: str) -> None:
    """A pause that leaves no time for another attempt is not begun: better 429 at once than 504 later."""
    op = Op(budget_ms=1100)
    service, path, body = ROUTES[route]
    backend["gateway>provider"].answer(429, Retry_After="1")
    answer = await post(backend, service, path, body(op), op)
    assert (answer.status_code, answer.json()["dependency"], answer.headers["retry-after"]) == (429, "provider", "1")
    assert len(backend["gateway>provider"].requests()) == 1


async def test_a_caller_that_leaves_cancels_everything_below(own: Backend) -> None:
    """When the caller closes, each hop closes its own call, long before any timeout of its own."""
    own.start(CALL_TIMEOUT_MS="60000")
    service, path, body = ROUTES["ask"]
    op = Op(budget_ms=60_000)
    own["gateway>provider"].fault("mute")
    closed = own["gateway>provider"].watch_close()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        asking = asyncio.create_task(client.post(own.url(service) + path, content=body(op), headers=op.headers))
        while not own["gateway>provider"].requests():
            await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait({asking})
    assert await asyncio.to_thread(closed.wait, 20), "the call to the provider outlived its caller"
