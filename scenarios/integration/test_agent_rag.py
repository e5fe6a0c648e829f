"""Agent x RAG and API x agent: tasks that need documents, by every way in, clean and under fault."""

from __future__ import annotations

import pytest

from scenarios.integration.rig import Operation, System, envelope

pytestmark = pytest.mark.integration


async def test_an_agent_uses_rag_for_its_query(system: System, op: Operation) -> None:
    """What was ingested before is what the agent's tool finds, and its answer proves that the model has seen it."""
    stored = Operation()
    stored.tenant = op.tenant
    await system.ingest(stored, "lighthouse", f"the lighthouse keeper trims the lamp at dusk {stored.nonce}")
    task = envelope("task", tenant=op.tenant, task=f"report {op.nonce}", query="when does the keeper trim the lamp")
    answer = await system.post("api", "/v1/agent/tasks", task, op)
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert data["tools"] == [{"name": "search_documents", "ok": True}]
    assert [source["doc_id"] for source in data["sources"]] == ["lighthouse"]
    assert system.digest(op.nonce) in data["text"]
    assert system.digest(stored.nonce) in data["text"]
    memory = await system.rows("SELECT task_id FROM memory WHERE op_id = $1", op.id)
    assert [row["task_id"] for row in memory] == [data["task_id"]]


async def test_a_task_without_documents_still_ends(system: System, op: Operation) -> None:
    """A tenant who has stored nothing gets an answer without sources."""
    task = envelope("task", tenant=op.tenant, task=f"report {op.nonce}", query="anything at all")
    data = (await system.post("api", "/v1/agent/tasks", task, op)).json()["data"]
    assert (data["sources"], data["degraded"]) == ([], False)


@pytest.mark.parametrize(
    ("link", "dependency"),
    [("api>agent", "agent"), ("agent>rag", "rag"), ("agent>gateway", "gateway"), ("rag>gateway", "gateway")],
)
@pytest.mark.parametrize(("kind", "status"), [("refuse", 503), ("hang", 504)])
async def test_a_task_names_what_failed(
    system: System, op: Operation, link: str, dependency: str, kind: str, status: int
) -> None:
    """A hop that is gone or silent is named to the caller, and leaves no memory of a task that was not done."""
    task = envelope("task", tenant=op.tenant, task=f"report {op.nonce}", query="anything")
    op.budget_ms = 1500
    with system.fault(kind, link):
        answer = await system.post("api", "/v1/agent/tasks", task, op)
    problem = answer.json()
    assert (answer.status_code, problem["dependency"], problem["trace_id"]) == (status, dependency, op.trace_id)
    if link != "api>agent":
        assert await system.rows("SELECT FROM memory WHERE op_id = $1", op.id) == []
    op.budget_ms = 15_000
    assert (await system.post("api", "/v1/agent/tasks", task, op)).status_code == 200
    assert len(await system.rows("SELECT FROM memory WHERE op_id = $1", op.id)) == 1
