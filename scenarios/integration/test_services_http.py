"""Services over HTTP: service calls service, errors between them, validation, envelopes and their versions."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.integration.rig import Operation, System, envelope

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("service", "path", "message_type", "data"),
    [
        ("agent", "/v1/tasks", "task", {"task": "report", "query": "anything"}),
        ("rag", "/v1/query", "question", {"question": "anything"}),
    ],
)
async def test_services_call_the_gateway_and_pass_its_failure_on(
    system: System, op: Operation, service: str, path: str, message_type: str, data: dict[str, Any]
) -> None:
    """What the provider did not do is told by every service above as the provider's failure."""
    body = envelope(message_type, tenant=op.tenant, **data)
    assert (await system.post(service, path, body, op)).status_code == 200
    with system.fault("refuse", "gateway>provider"):
        failed = Operation()
        answer = await system.post(service, path, body, failed)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "dependency_unavailable")
    assert (problem["dependency"], problem["trace_id"]) == ("provider", failed.trace_id)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        envelope("question", tenant="acme"),
        envelope("question", tenant="acme", question=7),
        envelope("question", tenant="not a tenant", question="anything"),
        envelope("answer", tenant="acme", question="anything"),
        envelope("question", schema_version=2, tenant="acme", question="anything"),
    ],
)
async def test_messages_that_cannot_be_read_are_refused(system: System, op: Operation, body: bytes) -> None:
    """Broken payloads, wrong types and unknown versions are the caller's mistake, on every service that reads them."""
    for service, path in (("api", "/v1/ask"), ("rag", "/v1/query")):
        answer = await system.post(service, path, body, op)
        assert (answer.status_code, answer.json()["code"], answer.json()["dependency"]) == (
            422,
            "invalid_request",
            None,
        )


async def test_a_slow_database_is_waited_for(system: System, op: Operation) -> None:
    """Delays below the timeouts cost time and nothing else."""
    with system.fault("slow", "rag>postgres"):
        assert (await system.ingest(op, "slow", f"patience {op.nonce}")).status_code == 201
        question = envelope("question", tenant=op.tenant, question="patience")
        answer = await system.post("api", "/v1/ask", question, Operation())
    assert system.digest(op.nonce) in answer.json()["data"]["text"]
