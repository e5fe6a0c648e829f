"""Every route's happy path over real processes."""

from __future__ import annotations

import httpx
import msgspec

from tests.reference.rig import Backend, Op, Post, envelope


async def _ingest(post: Post, backend: Backend, op: Op, tenant: str, doc_id: str, words: str) -> httpx.Response:
    body = envelope("document.ingest", tenant=tenant, doc_id=doc_id, title=f"On {words}", text=f"{words} {op.nonce}")
    return await post(backend, "api", "/v1/documents", body, op)


async def test_ingest_then_ask_answers_from_the_document(backend: Backend, post: Post) -> None:
    """An answer holds the digests of the question's nonce and of the found document's, and names the document."""
    stored, other, asked = Op(), Op(), Op()
    tenant = f"t-{asked.id}"
    answer = await _ingest(post, backend, stored, tenant, "tides", "tides follow the moon")
    assert (answer.status_code, answer.json()["data"]) == (201, {"doc_id": "tides", "chunks": 1, "dimension": 64})
    assert (await _ingest(post, backend, other, f"{tenant}-other", "tides", "tides follow the moon")).status_code == 201
    question = envelope("question", tenant=tenant, question=f"what do tides follow? {asked.nonce}")
    answer = await post(backend, "api", "/v1/ask", question, asked)
    data = answer.json()["data"]
    assert (answer.status_code, answer.json()["message_type"], data["tenant"]) == (200, "answer", tenant)
    assert backend.digest(asked.nonce) in data["text"]
    assert backend.digest(stored.nonce) in data["text"]
    assert backend.digest(other.nonce) not in data["text"]
    assert [source["doc_id"] for source in data["sources"]] == ["tides"]
    assert data["usage"]["total_tokens"] > 0


async def test_the_same_key_gives_the_same_answer(backend: Backend, post: Post, op: Op) -> None:
    """A repeated write changes nothing, and another document under its key is a conflict."""
    tenant = f"t-{op.id}"
    first = await _ingest(post, backend, op, tenant, "again", "once and only once")
    second = await _ingest(post, backend, op, tenant, "again", "once and only once")
    assert (first.status_code, first.content) == (second.status_code, second.content)
    third = await _ingest(post, backend, op, tenant, "again", "something else")
    assert (third.status_code, third.json()["code"], third.json()["retryable"]) == (409, "conflict", False)


async def test_agent_task_uses_the_tool_and_its_result(backend: Backend, post: Post, op: Op) -> None:
    """The agent's answer holds the digests of the task and of the document its tool has found."""
    stored, tenant = Op(), f"t-{op.id}"
    await _ingest(post, backend, stored, tenant, "bees", "bees dance to tell the way")
    task = envelope("task", tenant=tenant, task=f"tell me {op.nonce}", query="how do bees tell the way")
    answer = await post(backend, "api", "/v1/agent/tasks", task, op)
    data = answer.json()["data"]
    assert (answer.status_code, data["tenant"], data["degraded"]) == (200, tenant, False)
    assert data["tools"] == [{"name": "search_documents", "ok": True}]
    assert [source["doc_id"] for source in data["sources"]] == ["bees"]
    assert backend.digest(op.nonce) in data["text"]
    assert backend.digest(stored.nonce) in data["text"]
    assert (await post(backend, "api", "/v1/agent/tasks", task, op)).json() == answer.json()


async def test_chat_completion(backend: Backend, post: Post, op: Op) -> None:
    """A plain completion has the shape of the OpenAI API, with usage."""
    body = {"model": "ref-chat", "messages": [{"role": "user", "content": f"hello {op.nonce}"}]}
    answer = await post(backend, "gateway", "/v1/chat/completions", body, op)
    completion = answer.json()
    assert (answer.status_code, completion["object"]) == (200, "chat.completion")
    assert backend.digest(op.nonce) in completion["choices"][0]["message"]["content"]
    assert completion["usage"]["prompt_tokens"] == 2


async def test_streamed_completion(backend: Backend, post: Post, op: Op) -> None:
    """A stream comes in chunks and ends with its mark."""
    body = {"model": "ref-chat", "stream": True, "messages": [{"role": "user", "content": op.nonce}]}
    answer = await post(backend, "gateway", "/v1/chat/completions", body, op)
    assert answer.headers["content-type"] == "text/event-stream"
    *chunks, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    text = "".join(msgspec.json.decode(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert backend.digest(op.nonce) in text
    assert len(chunks) > 3


async def test_embeddings(backend: Backend, post: Post, op: Op) -> None:
    """Equal words give equal unit vectors of the declared dimension, whatever nonce stands beside them."""
    body = {"model": "ref-embed", "input": ["the same words", f"The same words {op.nonce}"]}
    answer = await post(backend, "gateway", "/v1/embeddings", body, op)
    first, second = (row["embedding"] for row in answer.json()["data"])
    assert first == second
    assert len(first) == 64
    assert abs(sum(value * value for value in first) - 1) < 1e-9


async def test_bad_requests_are_problems(backend: Backend, post: Post, op: Op) -> None:
    """Unknown routes, wrong types, versions, fields and methods are refused as problem details with the trace id."""
    cases = [
        ("/v1/nothing", envelope("question"), 404),
        ("/v1/ask", b"not json", 422),
        ("/v1/ask", envelope("task", tenant="a", question="b"), 422),
        ("/v1/ask", envelope("question", tenant="", question="b"), 422),
        ("/v1/ask", envelope("question", tenant="a", question="b\0c"), 422),
        ("/v1/ask", envelope("question", tenant="a", question="b" * 1024 * 1024), 413),
        ("/v1/ask", envelope("question", tenant="a", question="b").replace(b":1,", b":2,", 1), 422),
    ]
    for path, body, status in cases:
        answer = await post(backend, "api", path, body, op)
        assert answer.headers["content-type"] == "application/problem+json", body
        problem = answer.json()
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, "invalid_request"), body
        assert (problem["trace_id"], problem["dependency"]) == (op.trace_id, None)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(backend.url("api") + "/v1/ask")).status_code == 405
        unkeyed = await client.post(backend.url("api") + "/v1/documents", content=b"{}")
        assert unkeyed.status_code == 422
