"""Plain NATS operations on a real nats-server: replies, acknowledgements, completions, errors, cuts and silence."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from chaos.errors import NotReadyError
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.system import Address, NatsServer
from chaos.workloads.plain_nats import wildcard
from tests.workloads.plain_rig import Flyer, flying, plan_with, scenario_with
from tests.workloads.rig import HANG_S, running_driver
from tests.workloads.through import Through, through

BUS = """
- kind: nats
  to: nats
  rate: 9/s
  deadline: DEADLINE
  completion: DEADLINE
  operations:
    ask:
      request: NS.ask.{choice:a|b}
      payload: {id: "{op_id}", n: "{int:1-9}"}
      headers: {X-Tenant: "t-{index}"}
      expect: {json: {id: "{op_id}", n: "{int:1-9}"}}
      errors: {"/^ERR /": 503, busy: 429}
      degraded: '"stale"'
    bare: {request: NS.ask.bare}
    tell: {publish: NS.tell, payload: "hello {op_id}"}
    keep: {publish: NS.keep, payload: "hello {op_id}", jetstream: true}
    work: {publish: NS.work, payload: {id: "{op_id}"}, jetstream: true, completion: "NS.done.{op_id}", expect: {contains: "{nonce}"}}
    loose: {publish: NS.loose, payload: {id: "{op_id}"}, completion: NS.finished, expect: {contains: done}}
    nowhere: {publish: NS.nowhere, jetstream: true}
"""


@pytest.fixture
def ns() -> str:
    """A namespace nobody else uses."""
    return f"p{secrets.token_hex(4)}"


def workload(ns: str, deadline: str = "5s") -> str:
    """The workload on that namespace."""
    return BUS.replace("NS", ns).replace("DEADLINE", deadline)


Serve = Callable[[Client, Msg], Awaitable[None]]


@dataclass(slots=True)
class Bus:
    """The driver's side, and a peer's connection that bypasses the relay."""

    flyer: Flyer
    peer: Client
    relay: Through
    ns: str

    async def serve(self, subject: str, serve: Serve) -> None:
        """Answer messages like that."""

        async def handle(message: Msg) -> None:
            await serve(self.peer, message)

        await self.peer.subscribe(f"{self.ns}.{subject}", cb=handle)
        await self.peer.flush()
        await self.peer.flush()

    async def fly(self, name: str) -> Operation:
        """One operation."""
        return await self.flyer.fly(name)


@asynccontextmanager
async def open_bus(server: NatsServer, ns: str, deadline: str = "5s") -> AsyncIterator[Bus]:
    """The driver's pilot behind a relay, and a stream for what is kept and worked on."""
    async with through((server.address.host, server.address.port)) as relay:
        url = server.url_through(Address("127.0.0.1", relay.port)).reveal()
        peer = await nats.connect(server.url.reveal())
        await peer.jetstream().add_stream(name=ns, subjects=[f"{ns}.keep", f"{ns}.work"])
        try:
            async with flying(workload(ns, deadline), {"nats": url}) as flyer:
                yield Bus(flyer, peer, relay, ns)
        finally:
            await peer.jetstream().delete_stream(ns)
            await peer.close()


def replying(payload: bytes | None = None, headers: dict[str, str] | None = None) -> Serve:
    """A responder that says this, or what it was asked."""

    async def serve(peer: Client, message: Msg) -> None:
        await peer.publish(message.reply, message.data if payload is None else payload, headers=headers)

    return serve


async def test_a_reply_is_the_answer(nats_server: NatsServer, ns: str) -> None:
    """Subject, payload and headers are filled in; trace context, op id, budget and deadline come along."""
    async with open_bus(nats_server, ns) as bus:
        seen: list[Msg] = []

        async def serve(peer: Client, message: Msg) -> None:
            seen.append(message)
            await peer.publish(message.reply, message.data)

        await bus.serve("ask.*", serve)
        operation = await bus.fly("ask")
    assert (operation.answer, operation.unmet) == (Answer(kind=AnswerKind.OK), ())
    assert operation.effect is EffectState.READ
    assert operation.start_ns < operation.first_byte_ns <= operation.end_ns
    headers = seen[0].headers or {}
    assert headers["traceparent"].split("-")[1] == operation.trace_id
    assert headers["baggage"] == f"op.id={operation.op_id}"
    assert headers["X-Budget-Ms"] == "5000"
    assert int(headers["X-Deadline-Unix-Ms"]) > 1_700_000_000_000
    assert headers["X-Tenant"] == "t-0"
    assert seen[0].subject in {f"{ns}.ask.a", f"{ns}.ask.b"}


@pytest.mark.parametrize(
    ("payload", "check"),
    [(b'{"id": "another", "n": 3}', "json"), (b"[]", "json"), (b"thanks", "body"), (b"", "body")],
)
async def test_wrong_content_is_named(nats_server: NatsServer, ns: str, payload: bytes, check: str) -> None:
    """A reply that is not this operation's."""
    async with open_bus(nats_server, ns) as bus:
        await bus.serve("ask.*", replying(payload))
        operation = await bus.fly("ask")
    assert operation.ok
    assert check in [one.check for one in operation.unmet]


@pytest.mark.parametrize(
    ("payload", "headers", "status", "detail"),
    [
        (b"ERR no database", None, 503, "ERR no database"),
        (b"I am busy", None, 429, "I am busy"),
        (b"", {"Nats-Service-Error": "no stock", "Nats-Service-Error-Code": "409"}, 409, "no stock"),
        (b"", {"Nats-Service-Error": "no stock", "Nats-Service-Error-Code": "STOCK"}, None, "no stock"),
        (b'{"status": 504, "title": "late", "code": "dependency_timeout", "dependency": "db"}', None, 504, "late"),
    ],
)
async def test_errors_are_errors(
    nats_server: NatsServer, ns: str, payload: bytes, headers: dict[str, str] | None, status: int | None, detail: str
) -> None:
    """Declared patterns, the headers of NATS services, and problem details."""
    async with open_bus(nats_server, ns) as bus:
        await bus.serve("ask.*", replying(payload, headers))
        operation = await bus.fly("ask")
    answer = operation.answer
    assert (answer.kind, answer.status, answer.detail, answer.layer) == (AnswerKind.ERROR, status, detail, "system")
    assert operation.unmet == ()


async def test_degraded_and_hidden_errors(nats_server: NatsServer, ns: str) -> None:
    """A declared mark owes no content; an `error` where nothing is declared is found."""
    async with open_bus(nats_server, ns) as bus:
        await bus.serve("ask.a", replying(b'{"stale": true}'))
        await bus.serve("ask.b", replying(b'{"stale": true}'))
        await bus.serve("ask.bare", replying(b'{"error": "no database"}'))
        stale, bare = await bus.fly("ask"), await bus.fly("bare")
    assert (stale.answer.degraded, stale.unmet) == (True, ())
    assert [one.check for one in bare.unmet] == ["error-body"]


async def test_nobody_there_is_the_brokers_answer(nats_server: NatsServer, ns: str) -> None:
    """No responders, and no stream: both at once, and neither left anything behind."""
    async with open_bus(nats_server, ns) as bus:
        for name in ("ask", "nowhere"):
            answer = (await bus.fly(name)).answer
            assert (answer.kind, answer.status, answer.dependency) == (AnswerKind.ERROR, 503, "nats")


async def test_what_is_published_is_taken_or_stored(nats_server: NatsServer, ns: str) -> None:
    """A core publish is ok when the server took it, which proves no effect; a PubAck proves that it is stored."""
    async with open_bus(nats_server, ns) as bus:
        told = await bus.peer.subscribe(f"{ns}.tell")
        await bus.peer.flush()
        await bus.peer.flush()
        tell, keep = await bus.fly("tell"), await bus.fly("keep")
        assert (await told.next_msg(HANG_S)).data.decode() == f"hello {tell.op_id}"
        stored = await bus.peer.jetstream().get_last_msg(ns, f"{ns}.keep")
    assert (tell.answer.kind, tell.effect, tell.accepted_ns) == (AnswerKind.OK, EffectState.UNKNOWN, 0)
    assert (keep.answer.kind, keep.effect) == (AnswerKind.OK, EffectState.APPLIED)
    assert keep.start_ns < keep.accepted_ns <= keep.end_ns
    assert (stored.data or b"").decode() == f"hello {keep.op_id}"
    assert (stored.headers or {})["Nats-Msg-Id"] == keep.op_id


async def test_a_completion_is_the_answer(nats_server: NatsServer, ns: str) -> None:
    """By the operation's own subject, or on a common one by the op id in it; others' completions are left alone."""

    async def work(peer: Client, message: Msg) -> None:
        op_id = msgspec.json.decode(message.data)["id"]
        nonce = b"nonce-0" if message.subject.endswith("loose") else b"wrong"
        await peer.publish(f"{ns}.done.another", b"done")
        await peer.publish(f"{ns}.finished", b"done with another")
        await peer.publish(f"{ns}.done.{op_id}", nonce)
        await peer.publish(f"{ns}.finished", f"done with {op_id}".encode())

    async with open_bus(nats_server, ns) as bus:
        await bus.serve("work", work)
        await bus.serve("loose", work)
        done, loose = await bus.fly("work"), await bus.fly("loose")
    assert (done.answer.kind, done.asynchronous) == (AnswerKind.OK, True)
    assert done.accepted_ns > 0
    assert done.end_ns > 0
    assert [one.check for one in done.unmet] == ["contains"]
    assert (loose.answer.kind, loose.unmet, loose.effect) == (AnswerKind.OK, (), EffectState.APPLIED)


async def test_accepted_is_not_completed(nats_server: NatsServer, ns: str) -> None:
    """A PubAck without a completion is owed; a core publish without one is not answered at all."""
    async with open_bus(nats_server, ns, "20ms") as bus:
        work, loose = await asyncio.gather(bus.fly("work"), bus.fly("loose"))
    assert (work.answer.kind, work.effect, work.end_ns) == (AnswerKind.ACCEPTED, EffectState.UNKNOWN, 0)
    assert (loose.answer.kind, loose.effect) == (AnswerKind.NONE, EffectState.UNKNOWN)


async def test_silence_is_no_answer(nats_server: NatsServer, ns: str) -> None:
    """A responder that never replies, and a server that is not heard any more."""

    async def ignore(peer: Client, message: Msg) -> None:
        pass

    async with open_bus(nats_server, ns, "20ms") as bus:
        await bus.serve("ask.*", ignore)
        assert (await bus.fly("ask")).answer.kind is AnswerKind.NONE
        bus.relay.mute = True
        operations = await asyncio.gather(bus.fly("tell"), bus.fly("keep"))
        assert {(one.answer.kind, one.effect) for one in operations} == {(AnswerKind.NONE, EffectState.UNKNOWN)}


async def test_nothing_is_sent_behind_ones_back(nats_server: NatsServer, ns: str) -> None:
    """While the connection is down operations are refused and leave nothing; afterwards it works again, completions too."""

    async def work(peer: Client, message: Msg) -> None:
        op_id = msgspec.json.decode(message.data)["id"]
        await peer.publish(f"{ns}.finished", f"done {op_id}".encode())

    async with open_bus(nats_server, ns) as bus:
        await bus.serve("loose", work)
        await bus.relay.down(reset=True)
        door = bus.flyer.doors.plain.nats["nats"]
        async with asyncio.timeout(HANG_S):
            while door._client.is_connected:
                await asyncio.sleep(0.001)
        for name in ("ask", "tell", "keep", "loose"):
            operation = await bus.fly(name)
            assert (operation.answer.layer, operation.answer.code) == ("driver", "connect-refused")
            assert operation.effect in {EffectState.NOT_APPLIED, EffectState.READ}
        await bus.relay.up()
        async with asyncio.timeout(HANG_S):
            while not door._client.is_connected:
                await asyncio.sleep(0.001)
        assert (await bus.fly("loose")).ok
        info = await bus.peer.jetstream().stream_info(ns)
        assert info.state.messages == 0


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("results.{op_id}", "results.*"),
        ("a.r-{op_id}-x.b", "a.*.b"),
        ("{workload}.{op_id}", "*.*"),
        ("done", "done"),
        ("a.{choice:b|c}.d", "a.*.d"),
        ("a.{choice:b.c|d}.e", "a.>"),
    ],
)
def test_completions_are_covered_by_a_wildcard(template: str, subject: str) -> None:
    """One subscription for all operations."""
    assert wildcard(template) == subject


async def test_set_up_names_a_broker_that_is_not_there(nats_server: NatsServer, ns: str) -> None:
    """The driver says which link, and tells no password."""
    async with through((nats_server.address.host, nats_server.address.port)) as relay:
        await relay.down()
        url = nats_server.url_through(Address("127.0.0.1", relay.port)).reveal()
        async with running_driver() as rig:
            with pytest.raises(NotReadyError, match="driver>nats could not be reached within") as caught:
                await rig.control.setup(plan_with(scenario_with(workload(ns)), {"nats": url}), within_s=3)
            assert nats_server.password.reveal() not in str(caught.value)
