"""The gateway's defects, each beside what the correct gateway does under the same fault."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.reference.rig import Backend, Defective, Op, Post
from tests.reference.test_streams import chat, read_stream, spoil

_SERVICES = ("provider", "gateway")


async def _attempts(backend: Backend, post: Post, op: Op) -> int:
    answer = await post(backend, "gateway", "/v1/chat/completions", chat(op.nonce), op)
    assert answer.json()["dependency"] == "provider"
    return len(backend["gateway>provider"].requests())


async def test_uncapped_retry(defective: Defective, backend: Backend, post: Post) -> None:
    """The correct gateway makes three attempts at an overloaded provider, the other one as many as the budget holds."""
    broken = defective("uncapped-retry", *_SERVICES)
    for one in (backend, broken):
        one["gateway>provider"].answer(503)
    assert await _attempts(backend, post, Op(budget_ms=3000)) == 3
    assert await _attempts(broken, post, Op(budget_ms=3000)) > 5


async def test_retry_without_pause(defective: Defective, backend: Backend, post: Post) -> None:
    """Two seconds asked for twice do not fit into the budget: the correct gateway pauses once, the other never does."""
    broken = defective("retry-without-pause", *_SERVICES)
    for one in (backend, broken):
        one["gateway>provider"].answer(429, Retry_After="2")
    assert await _attempts(backend, post, Op(budget_ms=3500)) == 2
    assert await _attempts(broken, post, Op(budget_ms=3500)) == 3


async def test_retry_after_ignored(defective: Defective, backend: Backend, post: Post) -> None:
    """A provider that asks for a minute is asked once by the correct gateway, and three times by the other."""
    broken = defective("retry-after-ignored", *_SERVICES)
    for one in (backend, broken):
        one["gateway>provider"].answer(429, Retry_After="60")
    assert await _attempts(backend, post, Op()) == 1
    assert await _attempts(broken, post, Op()) == 3


async def test_cut_stream_as_complete(defective: Defective, backend: Backend) -> None:
    """A stream cut in the middle ends with an error event, or else as if it were whole."""
    broken = defective("cut-stream-as-complete", *_SERVICES)
    assert "event: error" in await read_stream(backend, Op(), backend["gateway>provider"].cut)
    text = await read_stream(broken, Op(), broken["gateway>provider"].cut)
    assert text.endswith("data: [DONE]\n\n")
    assert "event: error" not in text
    assert text.count("digest-") < 400


async def test_malformed_event_skipped(defective: Defective, backend: Backend) -> None:
    """An event that cannot be read ends the stream with an error event, or else is missing in a stream that looks whole."""
    broken = defective("malformed-event-skipped", *_SERVICES)
    for one in (backend, broken):
        one["gateway>provider"].edit_received = spoil
    assert "event: error" in await read_stream(backend, Op())
    text = await read_stream(broken, Op())
    assert text.endswith("data: [DONE]\n\n")
    assert "digest-" not in text


@pytest.mark.parametrize("streamed", [True, False])
async def test_shared_breaker(defective: Defective, backend: Backend, post: Post, streamed: bool) -> None:
    """Without NATS the correct gateway answers over HTTP as ever, the other one refuses until NATS is back."""
    broken = defective("shared-breaker", *_SERVICES)
    wanted = chat("hello") if streamed else chat("hello").replace(b"true", b"false")
    for one, status in ((backend, 200), (broken, 503)):
        one["gateway>nats"].fault("refuse")
        await _until_lost(one)
        answer = await post(one, "gateway", "/v1/chat/completions", wanted, Op())
        assert answer.status_code == status
    assert answer.json()["dependency"] == "nats"
    broken["gateway>nats"].heal()
    broken.wait_ready("gateway")
    assert (await post(broken, "gateway", "/v1/chat/completions", wanted, Op())).status_code == 200


async def _until_lost(backend: Backend) -> None:
    """Wait until the gateway says that it waits for NATS."""
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(backend.url("gateway") + "/healthz")).status_code == 200:
            await asyncio.sleep(0.02)
