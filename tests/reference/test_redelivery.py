"""One operation, one effect and one announcement, whatever replies, acknowledgements and connections are lost."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest

from tests.reference.effects import Effects, effects_of
from tests.reference.rig import Backend, Op, OpenBackend, Post, envelope

_PUBACK = re.compile(rb'MSG \S+ \S+ (?:\S+ )?\d+\r\n\{"stream":[^\r]*\r\n')
_ACK = re.compile(rb"PUB \$JS\.ACK\.\S+ +0\r\n\r\n")
_ACKS = re.compile(rb"PUB \$JS\.ACK\.\S+ +\d+\r\n[^\r]*\r\n")


@pytest.fixture(scope="module")
def shared_backend(open_backend: OpenBackend) -> Iterator[Backend]:
    """A backend that soon gives up waiting for NATS and Postgres."""
    with open_backend() as backend:
        backend.start("provider", "gateway", "rag", "agent", NATS_TIMEOUT_MS="1000", DB_TIMEOUT_MS="2000")
        yield backend


def document(op: Op) -> bytes:
    """A document to be stored."""
    return envelope("document.ingest", tenant="acme", doc_id=f"doc-{secrets.token_hex(4)}", title="T", text=op.nonce)


async def assert_one_result(effects: Effects, op: Op) -> None:
    """One stored end, one memory, one message that tells it."""
    await effects.quiet()
    assert [message["message_type"] for message in await effects.messages("RESULTS", op)] == ["task.result"]
    assert (await effects.rows("tasks", op), await effects.rows("memory", op)) == (1, 1)


async def test_lost_reply_to_commit_of_a_document(backend: Backend, post: Post, op: Op) -> None:
    """A document whose COMMIT got no reply is found by its key: 201, stored once and announced once."""
    backend["rag>postgres"].lose_reply(b"COMMIT")
    answer = await post(backend, "rag", "/v1/documents", document(op), op)
    assert answer.status_code == 201
    async with effects_of(backend) as effects:
        await effects.quiet()
        assert (await effects.rows("documents", op), await effects.rows("chunks", op)) == (1, 1)
        assert [one["data"] for one in await effects.messages("DOCUMENTS", op)] == [answer.json()["data"]]


async def test_lost_replies_to_every_commit_of_a_document(backend: Backend, post: Post, op: Op) -> None:
    """When the second COMMIT gets no reply either, the answer says so and names Postgres; the effect is there once."""
    backend["rag>postgres"].lose_reply(b"COMMIT", times=9)
    answer = await post(backend, "rag", "/v1/documents", document(op), op)
    assert (answer.status_code, answer.json()["dependency"]) == (503, "postgres")
    async with effects_of(backend) as effects:
        await effects.quiet()
        assert await effects.rows("documents", op) == 1
        assert len(await effects.messages("DOCUMENTS", op)) == 1


async def test_withheld_reply_to_commit(backend: Backend, post: Post) -> None:
    """A COMMIT without a reply on a connection that stays open ends in a 504 in time, and with one effect."""
    op, relay = Op(budget_ms=1000), backend["rag>postgres"]

    def go_silent(data: bytes) -> bytes:
        if b"COMMIT" in data:
            relay.mode = "mute"
        return data

    relay.edit_sent = go_silent
    answer = await post(backend, "rag", "/v1/documents", document(op), op)
    assert (answer.status_code, answer.json()["dependency"]) == (504, "postgres")
    backend.heal()
    async with effects_of(backend) as effects:
        await effects.quiet()
        assert await effects.rows("documents", op) == 1
        assert len(await effects.messages("DOCUMENTS", op)) == 1


@pytest.mark.parametrize("times", [1, 2])
async def test_lost_reply_to_commit_of_a_queued_task(backend: Backend, op: Op, times: int) -> None:
    """The end of a task whose COMMIT got no reply is found, at once or when the task is delivered again."""
    async with effects_of(backend) as effects:
        backend["agent>postgres"].lose_reply(b"COMMIT", times=times)
        await effects.submit(op)
        await assert_one_result(effects, op)


async def test_lost_reply_to_commit_of_a_task_over_http(backend: Backend, post: Post, op: Op) -> None:
    """The end of a task is found by its key, and is the answer."""
    backend["agent>postgres"].lose_reply(b"COMMIT")
    task = envelope("task", tenant="acme", task=f"tell {op.nonce}", query="anything")
    answer = await post(backend, "agent", "/v1/tasks", task, op)
    assert answer.status_code == 200
    assert backend.digest(op.nonce) in answer.json()["data"]["text"]
    async with effects_of(backend) as effects:
        assert (await effects.rows("tasks", op), await effects.rows("memory", op)) == (1, 1)


async def test_lost_acknowledgement_of_a_publish(backend: Backend, op: Op) -> None:
    """A result whose PubAck is lost is published again under the same id, which JetStream stores once."""
    backend["agent>nats"].edit_received = lambda data: _PUBACK.sub(b"", data)
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await backend["agent>nats"].sees(f".results.{op.id} ".encode(), times=2)
        backend.heal()
        await assert_one_result(effects, op)


async def test_connection_cut_before_the_acknowledgement_of_a_publish(backend: Backend, op: Op) -> None:
    """The same when the connection breaks instead."""
    backend["agent>nats"].lose_reply(f".results.{op.id} ".encode())
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await assert_one_result(effects, op)


async def test_lost_acknowledgement_of_a_task(backend: Backend, op: Op) -> None:
    """A task that is delivered again after its end finds it stored: nothing is done or announced twice."""
    backend["agent>nats"].edit_sent = lambda data: _ACK.sub(b"", data)
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await effects.redelivered()
        backend.heal()
        await assert_one_result(effects, op)


async def test_redelivery_while_the_first_delivery_is_in_work(backend: Backend, op: Op) -> None:
    """Two deliveries of a task in work at once have one effect and one result."""
    backend["agent>nats"].edit_sent = lambda data: _ACKS.sub(b"", data)
    backend["agent>gateway"].hold()
    async with effects_of(backend) as effects:
        await effects.submit(op)
        await effects.redelivered()
        await backend["agent>gateway"].sees(op.trace_id.encode(), times=2)
        backend["agent>gateway"].release()
        backend["agent>nats"].edit_sent = None
        await assert_one_result(effects, op)
