"""Each defect shows where the correct backend does not, and only when it is switched on."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import nats
import nats.errors
import pytest
from nats.aio.client import Client

from chaos.engine.defects import DEFECTS as LISTED
from chaos.reference.defects import DEFECTS, Defects
from chaos.reference.settings import Settings
from tests.reference.rig import Backend, Defective, Op, Post, envelope


def _question(op: Op) -> bytes:
    return envelope("question", tenant="acme", question=op.nonce)


async def test_no_http_timeout(defective: Defective, post: Post) -> None:
    """A silent provider keeps the caller waiting beyond its budget, and no budget is passed on."""
    backend, op = defective("no-http-timeout"), Op(budget_ms=300)
    assert (await post(backend, "api", "/v1/ask", _question(op), op)).status_code == 200
    assert not [request for request in backend["api>rag"].requests() if "x-budget-ms" in request]
    backend["gateway>provider"].fault("mute")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await post(backend, "api", "/v1/ask", _question(op), op)


async def test_swallowed_error(defective: Defective, post: Post, op: Op) -> None:
    """A provider that is gone becomes a 200 that answers nothing."""
    backend = defective("swallowed-error")
    backend["gateway>provider"].fault("refuse")
    answer = await post(backend, "api", "/v1/ask", _question(op), op)
    assert (answer.status_code, answer.json()["data"]["sources"]) == (200, [])
    assert backend.digest(op.nonce) not in answer.text
    search = envelope("search.query", tenant="acme", query="words")
    assert (await post(backend, "rag", "/v1/search", search, op)).json()["data"] == {"passages": []}


@pytest.mark.parametrize(
    ("defect", "status", "code"), [("generic-500", 500, "internal"), ("wrong-blame", 422, "invalid_request")]
)
async def test_misleading_answers(
    defective: Defective, post: Post, op: Op, defect: str, status: int, code: str
) -> None:
    """A failure of a dependency is told as somebody else's, while good requests and bad ones are answered as ever."""
    backend = defective(defect)
    assert (await post(backend, "api", "/v1/ask", _question(op), op)).status_code == 200
    assert (await post(backend, "api", "/v1/ask", b"{}", op)).status_code == 422
    backend["rag>postgres"].fault("refuse")
    answer = await post(backend, "api", "/v1/ask", _question(op), op)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["dependency"]) == (status, code, None)


async def test_consumer_dead_after_reconnect(defective: Defective) -> None:
    """Tasks are performed until the connection to NATS is lost once, and never again."""
    backend = defective("consumer-dead-after-reconnect")
    client = await nats.connect(backend.nats_server.url.reveal())
    results = _Results(client, backend)
    try:
        assert await results.of(Op(), wait_s=20)
        backend["agent>nats"].fault("refuse")
        backend["agent>nats"].heal()
        backend.wait_ready("agent")
        assert not await results.of(Op(), wait_s=4)
        # Only the consumer is dead: over HTTP the agent works, and it says that it is well.
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            body = envelope("task", tenant="acme", task="something", query="anything")
            answer = await http.post(backend.url("agent") + "/v1/tasks", content=body, headers=Op().headers)
            assert answer.status_code == 200
    finally:
        await client.close()


class _Results:
    def __init__(self, client: Client, backend: Backend) -> None:
        self._client = client
        self._backend = backend

    async def of(self, op: Op, wait_s: float) -> bool:
        """Whether a task's result comes."""
        results = await self._client.subscribe(f"{self._backend.namespace}.results.{op.id}")
        await self._client.flush()
        task = envelope("task", tenant="acme", task="something", query="anything", op_id=op.id)
        subject = f"{self._backend.namespace}.tasks.acme"
        await self._client.jetstream().publish(subject, task, headers=op.queue_headers())
        try:
            message = await results.next_msg(timeout=wait_s)
        except nats.errors.TimeoutError:
            return False
        return bool(msgspec.json.decode(message.data)["message_type"] == "task.result")


def test_defects_are_known_by_name() -> None:
    """The switch refuses names that do not exist, in the environment and in the code."""
    assert Defects.parse("").names == frozenset()
    assert Defects.parse(" generic-500 ,wrong-blame").names == {"generic-500", "wrong-blame"}
    with pytest.raises(ValueError, match="no defect called nonsense; known: "):
        Defects.parse("nonsense")
    with pytest.raises(ValueError, match="no defect called nonsense"):
        Defects().on("nonsense")
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)


def test_a_defect_is_a_defect_of_its_services() -> None:
    """Code that services share is defective only in those that a defect names."""
    switched_on = Defects.parse("swallowed-error,no-http-timeout")
    assert switched_on.of("rag").names == {"swallowed-error", "no-http-timeout"}
    assert switched_on.of("api").names == {"no-http-timeout"}
    assert switched_on.of("provider").names == frozenset()
    assert Settings.from_environment("rag", {"CHAOS_DEFECTS": "generic-500"}).defects == Defects()


def test_the_tool_lists_the_defects_there_are() -> None:
    """The list of the tool, which never imports the backend, and the backend's own are the same."""
    assert {defect.name for defect in LISTED} == {defect.name for defect in DEFECTS}
