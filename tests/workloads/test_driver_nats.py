"""NATS operations on a real nats-server: acceptance and completion are told apart, nothing is sent behind one's back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RetentionPolicy, StreamConfig

from chaos.model.operation import AnswerKind, EffectState, Operation
from chaos.system import NatsServer
from chaos.workloads import Endpoints
from chaos.workloads.checks import Checks
from chaos.workloads.corpus import Corpus
from chaos.workloads.flight import Departure, Flight, Pilot
from chaos.workloads.http_door import open_http
from chaos.workloads.identity import answer_digest, nonce, op_id
from chaos.workloads.nats_door import NatsDoor, open_nats
from chaos.workloads.operations import Doors
from tests.workloads.rig import KEY, RUN, driver_plan, kind_plan
from tests.workloads.through import Through

CORPUS = Corpus.of(RUN, 7)


@dataclass(slots=True)
class Bus:
    """A namespace of its own on the server: a peer's connection, and the driver's pilot."""

    peer: Client
    pilot: Pilot
    door: NatsDoor
    namespace: str

    async def fly(self, kind: str, name: str, deadline_ms: float = 5000.0) -> Operation:
        """One operation of the driver, from start to record."""
        workload = kind_plan(kind, name, deadline_ms=deadline_ms)
        departure = Departure(workload=workload, operation=workload.operations[0], index=0, intended_ns=0)
        flight = Flight(departure)
        await asyncio.wait_for(self.pilot.fly(flight), 30)
        assert flight.operation is not None
        return flight.operation

    async def settle(self) -> None:
        """Wait until the server knows the peer's subscriptions: one PING may overtake them."""
        await self.peer.flush()
        await self.peer.flush()

    async def add_stream(self, **limits: int) -> None:
        """The work queue the agent would make."""
        config = StreamConfig(
            name=f"{self.namespace.upper()}_TASKS",
            subjects=[f"{self.namespace}.tasks.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            **limits,
        )
        await self.peer.jetstream().add_stream(config)


@asynccontextmanager
async def open_bus(url: str, namespace: str) -> AsyncIterator[Bus]:
    """Peer and driver on one server; its stream is removed at the end."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http(4))
        door = await stack.enter_async_context(open_nats(url, namespace))
        doors = Doors(http=http, endpoints=Endpoints(), checks=Checks(key=KEY.encode(), corpus=CORPUS), nats=door)
        peer = await nats.connect(url)
        try:
            yield Bus(peer, Pilot(driver_plan(endpoints=Endpoints()), doors, CORPUS), door, namespace)
        finally:
            if peer.is_connected:
                for stream in await peer.jetstream().streams_info():
                    if str(stream.config.name).startswith(namespace.upper()):
                        await peer.jetstream().delete_stream(str(stream.config.name))
            await peer.close()


@pytest.fixture
def namespace() -> str:
    """A namespace nobody else uses."""
    return f"t{secrets.token_hex(4)}"


def digest_of(kind: str) -> str:
    """The digest of the nonce of a workload's first operation."""
    return answer_digest(KEY.encode(), nonce(7, op_id(RUN, kind, 0)))


def packed(message_type: str, **data: object) -> bytes:
    """An envelope."""
    return msgspec.json.encode({"schema_version": 1, "message_type": message_type, "data": data})


async def test_accepted_work_is_answered_by_its_completion(nats_server: NatsServer, namespace: str) -> None:
    """The PubAck is `accepted`, the published result the answer; the message carries id, deadline, budget and trace."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        await bus.add_stream()
        seen: list[Msg] = []

        async def agent(message: Msg) -> None:
            seen.append(message)
            data = msgspec.json.decode(message.data)["data"]
            document = next(one for one in CORPUS.documents if " ".join(one.words) == data["query"])
            result = packed(
                "task.result",
                task_id="t",
                text=f"{digest_of('agent')} {answer_digest(KEY.encode(), document.nonce)}",
                tools=[{"name": "search_documents", "ok": True}],
                sources=[{"doc_id": document.doc_id}],
                tenant=data["tenant"],
            )
            await bus.peer.publish(f"{namespace}.results.{data['op_id']}", result)

        await bus.peer.subscribe(f"{namespace}.tasks.>", cb=agent)
        await bus.settle()
        operation = await bus.fly("agent", "task")
    assert (operation.answer.kind, operation.unmet, operation.effect) == (AnswerKind.OK, (), EffectState.APPLIED)
    assert 0 < operation.start_ns < operation.accepted_ns
    assert operation.end_ns > operation.start_ns
    assert seen[0].headers is not None
    assert seen[0].headers["Nats-Msg-Id"] == operation.op_id
    assert seen[0].headers["X-Budget-Ms"] == "5000"
    assert int(seen[0].headers["X-Deadline-Unix-Ms"]) > 1_600_000_000_000
    assert operation.trace_id in seen[0].headers["traceparent"]


async def test_accepted_work_without_completion_is_accepted_only(nats_server: NatsServer, namespace: str) -> None:
    """Stored but never completed: no end, accepted, and an effect that is unknown."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        await bus.add_stream()
        operation = await bus.fly("agent", "task", deadline_ms=50)
    assert (operation.answer.kind, operation.end_ns) == (AnswerKind.ACCEPTED, 0)
    assert operation.accepted_ns > 0
    assert operation.effect is EffectState.UNKNOWN


async def test_a_problem_as_result_is_an_error(nats_server: NatsServer, namespace: str) -> None:
    """The completion may be a problem: its code and dependency are the answer's, and the work had been accepted."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        await bus.add_stream()

        async def agent(message: Msg) -> None:
            op = msgspec.json.decode(message.data)["data"]["op_id"]
            data = {"title": "late", "status": 504, "code": "deadline_exceeded"}
            await bus.peer.publish(f"{namespace}.results.{op}", packed("problem", **data))

        await bus.peer.subscribe(f"{namespace}.tasks.>", cb=agent)
        await bus.settle()
        operation = await bus.fly("agent", "task")
    assert (operation.answer.kind, operation.answer.status) == (AnswerKind.ERROR, 504)
    assert operation.answer.code == "deadline_exceeded"
    assert operation.accepted_ns > 0
    assert operation.effect is EffectState.UNKNOWN


async def test_without_a_stream_the_broker_says_so(nats_server: NatsServer, namespace: str) -> None:
    """Nothing takes the subject: an error of the broker at once, not a wait, and never accepted."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        operation = await bus.fly("agent", "task")
    assert (operation.answer.kind, operation.answer.status, operation.answer.dependency) == (
        AnswerKind.ERROR,
        503,
        "nats",
    )
    assert operation.accepted_ns == 0
    assert operation.effect is EffectState.UNKNOWN


async def test_a_stream_that_refuses_is_an_error(nats_server: NatsServer, namespace: str) -> None:
    """JetStream's own refusal (the message is too large for the stream) is told with its text."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        await bus.add_stream(max_msg_size=10)
        operation = await bus.fly("agent", "task")
    assert operation.answer.kind is AnswerKind.ERROR
    assert operation.answer.dependency == "nats"
    assert "JetStream refused" in (operation.answer.detail or "")


async def test_a_request_is_answered_by_its_reply(nats_server: NatsServer, namespace: str) -> None:
    """Request and reply on the gateway's queue, the digest checked like everywhere."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:

        async def gateway(message: Msg) -> None:
            await message.respond(packed("chat.response", text=digest_of("gateway"), usage={}, model="m"))

        await bus.peer.subscribe(f"{namespace}.gateway.requests", "gateway", cb=gateway)
        await bus.settle()
        operation = await bus.fly("gateway", "queued")
    assert (operation.answer.kind, operation.unmet, operation.effect) == (AnswerKind.OK, (), EffectState.READ)
    assert operation.start_ns < operation.first_byte_ns <= operation.end_ns


@pytest.mark.parametrize(("reply", "check"), [(b"\x00", "body"), (b"{}", "message-type"), (b"[]", "message-type")])
async def test_odd_replies_are_unmet(nats_server: NatsServer, namespace: str, reply: bytes, check: str) -> None:
    """What is no envelope is an ok answer that does not meet its declaration."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:

        async def gateway(message: Msg) -> None:
            await message.respond(reply)

        await bus.peer.subscribe(f"{namespace}.gateway.requests", cb=gateway)
        await bus.settle()
        operation = await bus.fly("gateway", "queued")
    assert [one.check for one in operation.unmet] == [check]


async def test_no_responders_is_an_answer_and_not_a_wait(nats_server: NatsServer, namespace: str) -> None:
    """The broker tells at once that nobody listens."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:
        operation = await bus.fly("gateway", "queued")
    assert (operation.answer.status, operation.answer.code) == (503, "dependency_unavailable")
    assert operation.end_ns > 0


async def test_a_silent_responder_is_no_answer(nats_server: NatsServer, namespace: str) -> None:
    """A request that nobody replies to ends as `none`."""
    async with open_bus(nats_server.url.reveal(), namespace) as bus:

        async def gateway(_: Msg) -> None:
            return

        await bus.peer.subscribe(f"{namespace}.gateway.requests", cb=gateway)
        await bus.settle()
        operation = await bus.fly("gateway", "queued", deadline_ms=50)
    assert (operation.answer.kind, operation.end_ns) == (AnswerKind.NONE, 0)


async def test_while_disconnected_nothing_is_sent_nor_kept_for_later(nats_server: NatsServer, namespace: str) -> None:
    """With the link down, a task fails as not sent; when it is back the queue is empty, and new tasks are taken."""
    relay = Through((nats_server.address.host, nats_server.address.port))
    await relay.up()
    direct = nats_server.url.reveal()
    through = direct.replace(f":{nats_server.address.port}", f":{relay.port}")
    peer = await nats.connect(direct)
    try:
        async with open_bus(through, namespace) as bus:
            await bus.add_stream()
            await bus.peer.close()
            await relay.down()
            async with asyncio.timeout(30):
                while bus.door.connected:
                    await asyncio.sleep(0.01)
            operations = [await bus.fly("agent", "task"), await bus.fly("gateway", "queued")]
            await relay.up()
            accepted = await _until_accepted(bus)
        info = await peer.jetstream().stream_info(f"{namespace.upper()}_TASKS")
        await peer.jetstream().delete_stream(f"{namespace.upper()}_TASKS")
    finally:
        await peer.close()
        await relay.down()
    assert {(one.answer.layer, one.answer.code) for one in operations} == {("driver", "connect-refused")}
    assert operations[0].effect is EffectState.NOT_APPLIED
    assert accepted.accepted_ns > 0
    assert info.state.messages == 1


async def _until_accepted(bus: Bus) -> Operation:
    """Try until the client has reconnected, which only it knows."""
    async with asyncio.timeout(30):
        while (operation := await bus.fly("agent", "task", deadline_ms=50)).answer.kind is AnswerKind.ERROR:
            await asyncio.sleep(0.05)
    return operation
