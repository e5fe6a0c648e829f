"""RAG x database: what is ingested stands in Postgres and is found by a query, clean and under fault."""

from __future__ import annotations

import pytest

from scenarios.integration.rig import Operation, System, envelope

pytestmark = pytest.mark.integration


async def test_ingest_then_query_through_postgres(system: System, op: Operation) -> None:
    """A document becomes chunks with vectors under its operation's id, and answers name it."""
    words = "sourdough needs flour water salt and patience "
    answer = await system.ingest(op, "bread", words * 40 + op.nonce)
    assert (answer.status_code, answer.json()["data"]) == (201, {"doc_id": "bread", "chunks": 3, "dimension": 64})
    rows = await system.rows(
        "SELECT public.vector_dims(embedding) AS d, op_id FROM chunks WHERE tenant = $1", op.tenant
    )
    assert [(row["d"], row["op_id"]) for row in rows] == [(64, op.id)] * 3
    question = envelope("question", tenant=op.tenant, question="what does sourdough need?")
    answer = await system.post("api", "/v1/ask", question, Operation())
    assert [source["doc_id"] for source in answer.json()["data"]["sources"]] == ["bread"]
    assert system.digest(op.nonce) in answer.json()["data"]["text"]


@pytest.mark.parametrize(("kind", "status"), [("refuse", 503), ("hang", 504)])
async def test_a_write_that_failed_left_nothing(system: System, op: Operation, kind: str, status: int) -> None:
    """An ingest that Postgres did not take is a problem that names it, and can be repeated under its key."""
    assert (await system.ingest(Operation(), "warm-up", "words")).status_code == 201
    op.budget_ms = 1500
    with system.fault(kind, "rag>postgres"):
        answer = await system.ingest(op, "later", "words to come")
        assert (answer.status_code, answer.json()["dependency"]) == (status, "postgres")
    op.budget_ms = 15_000
    assert (await system.ingest(op, "later", "words to come")).status_code == 201
    assert len(await system.rows("SELECT FROM documents WHERE op_id = $1", op.id)) == 1


async def test_tenants_never_mix(system: System, op: Operation) -> None:
    """A question finds the documents of its own tenant only, though another has the better one."""
    other = Operation()
    await system.ingest(other, "secret", f"the answer to the question is {other.nonce}")
    await system.ingest(op, "public", f"something else {op.nonce}")
    question = envelope("question", tenant=op.tenant, question="the answer to the question")
    data = (await system.post("api", "/v1/ask", question, Operation())).json()["data"]
    assert [source["doc_id"] for source in data["sources"]] == ["public"]
    assert system.digest(other.nonce) not in data["text"]
