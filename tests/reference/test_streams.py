"""Streams that stall, break or say nonsense in the middle: told as an error of the provider, in time, never as complete."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import httpx
import msgspec
import pytest

from tests.reference.rig import Backend, Op, Post, envelope

# Four hundred tokens at a millisecond each: something is always left to come when the first ones are here.
_MANY = " ".join(f"nonce-{number:016x}" for number in range(400))


def chat(words: str) -> bytes:
    """A request for a stream."""
    return msgspec.json.encode({"model": "ref-chat", "stream": True, "messages": [{"role": "user", "content": words}]})


async def read_stream(backend: Backend, op: Op, begun: Callable[[], None] = lambda: None) -> str:
    """The text of a stream from the gateway; `begun` is called when the first of it is here."""
    text = ""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream(
            "POST", backend.url("gateway") + "/v1/chat/completions", content=chat(_MANY), headers=op.headers
        ) as response,
    ):
        assert response.status_code == 200
        async for piece in response.aiter_text():
            if not text:
                begun()
            text += piece
    return text


def problem_at_end(text: str) -> dict[str, object]:
    """The problem of the error event a stream ends with."""
    *_, last = text.strip().split("\n\n")
    assert last.startswith("event: error\ndata: "), last
    problem: dict[str, object] = msgspec.json.decode(last.split("data: ", 1)[1])
    return problem


def spoil(relay_data: bytes) -> bytes:
    """Make the JSON of every text token unreadable, byte for byte: the framing of HTTP stays whole."""
    return relay_data.replace(b'{"content":', b'{"content"!')


async def test_cut_stream_ends_with_an_error_event(backend: Backend, op: Op) -> None:
    """A stream whose upstream breaks in the middle tells so in an event and has no end mark."""
    text = await read_stream(backend, op, backend["gateway>provider"].cut)
    problem = problem_at_end(text)
    assert "[DONE]" not in text
    assert (problem["code"], problem["dependency"]) == ("dependency_error", "provider")
    assert (problem["status"], problem["trace_id"]) == (502, op.trace_id)


async def test_stalled_stream_ends_with_an_error_event(backend: Backend) -> None:
    """A stream that stops coming is given up within the caller's budget and told as the provider's timeout."""
    op = Op(budget_ms=2000)
    async with asyncio.timeout(10):
        text = await read_stream(backend, op, lambda: backend["gateway>provider"].fault("mute"))
    problem = problem_at_end(text)
    assert "[DONE]" not in text
    assert (problem["code"], problem["dependency"]) == ("dependency_timeout", "provider")
    assert (problem["status"], problem["trace_id"]) == (504, op.trace_id)


async def test_malformed_event_ends_the_stream(backend: Backend, op: Op) -> None:
    """An event that cannot be read is not left out: the stream ends with an error that names the provider."""
    backend["gateway>provider"].edit_received = spoil
    text = await read_stream(backend, op)
    problem = problem_at_end(text)
    assert "[DONE]" not in text
    assert (problem["code"], problem["dependency"]) == ("dependency_error", "provider")


async def test_first_event_unreadable_is_an_answer_with_a_status(backend: Backend, post: Post, op: Op) -> None:
    """As long as nothing of a stream was sent, its failure is an error answer like any other."""
    backend["gateway>provider"].edit_received = lambda data: data.replace(b'{"role":', b'{"role"!')
    answer = await post(backend, "gateway", "/v1/chat/completions", chat(op.nonce), op)
    assert (answer.status_code, answer.json()["code"]) == (502, "dependency_error")
    assert answer.json()["dependency"] == "provider"


def _task(op: Op) -> bytes:
    return envelope("task", tenant="acme", task=f"tell {op.nonce}", query="anything")


@pytest.mark.parametrize("link", ["gateway>provider", "agent>gateway"])
async def test_agent_tells_a_stalled_stream(backend: Backend, post: Post, link: str) -> None:
    """The agent's stream stalls in the middle: 504 by the deadline, naming who was silent."""
    warm, op, relay = Op(), Op(budget_ms=2000), backend[link]
    assert (await post(backend, "api", "/v1/agent/tasks", _task(warm), warm)).status_code == 200

    def stall(data: bytes) -> bytes:
        if b"tool_calls" in data:
            relay.mode = "mute"
        return data

    relay.edit_received = stall
    answer = await post(backend, "api", "/v1/agent/tasks", _task(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (504, "dependency_timeout")
    assert problem["dependency"] == link.partition(">")[2]


@pytest.mark.parametrize("link", ["gateway>provider", "agent>gateway"])
async def test_agent_tells_a_malformed_stream(backend: Backend, post: Post, op: Op, link: str) -> None:
    """The agent never acts on a stream that it could not read: 502, naming who sent it."""
    backend[link].edit_received = lambda data: data.replace(b'"tool_calls":', b'"tool_calls"!')
    answer = await post(backend, "api", "/v1/agent/tasks", _task(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (502, "dependency_error")
    assert problem["dependency"] == link.partition(">")[2]


@pytest.mark.parametrize("link", ["gateway>provider", "agent>gateway"])
async def test_agent_tells_broken_framing(backend: Backend, post: Post, op: Op, link: str) -> None:
    """An event whose field is misspelt is not passed over."""
    backend[link].edit_received = lambda data: re.sub(rb"\ndata: \{", b"\ndatum:{", data)
    answer = await post(backend, "api", "/v1/agent/tasks", _task(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (502, "dependency_error")
    assert problem["dependency"] == link.partition(">")[2]
