"""docs/workloads.md: every example is read as it stands, and flown against a real server that answers as it says."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import asyncpg
import msgspec
import nats
import pytest
from nats.aio.msg import Msg

from chaos.model.operation import Operation
from chaos.system import NatsServer, PostgresServer
from tests.workloads.line_server import cache, mail, serving_lines
from tests.workloads.plain_rig import Flyer, flying
from tests.workloads.stand_in import Asked, Replied, stand_in

PAGE = (Path(__file__).parents[2] / "docs/workloads.md").read_text(encoding="utf-8")
LINKS = """
links:
  driver>orders: {protocol: http, traced: true}
  driver>nats: {protocol: nats}
  driver>postgres: {protocol: postgres}
  driver>cache: {}
  driver>mail: {}
  orders>postgres: {protocol: postgres}
  orders>payments: {protocol: http}
  orders>db: {protocol: postgres}
  worker>nats: {protocol: nats}
"""


def examples(to: str) -> list[str]:
    """The page's workloads on that callee."""
    return [one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if f"to: {to}" in one]


async def all_of(flyer: Flyer) -> list[Operation]:
    """Each operation of a flyer's workloads once."""
    return [
        await flyer.fly(kind.name, workload.name) for workload in flyer.plan.workloads for kind in workload.operations
    ]


def wrong(operations: list[Operation]) -> list[Operation]:
    """Those that are not ok, or whose content is not as declared."""
    return [one for one in operations if not one.ok or one.unmet]


def shop(asked: Asked) -> Replied:
    """A shop as the page has it."""
    body = msgspec.json.decode(asked.body) if asked.body else {}
    match asked.method, asked.path.partition("?")[0]:
        case "POST", "/orders" if asked.headers.get("authorization") == "Bearer a-token-of-ours":
            return Replied(status=201, body=msgspec.json.encode({"order": body}))
        case "GET", "/orders/1":
            return Replied(body=b'{"amount": 3}')
        case "POST", "/v1/chat":
            return Replied(body=f"data: {body['text']}\n\ndata: [DONE]\n\n".encode(), content_type="text/event-stream")
        case "GET", "/recommendations":
            return Replied(body=b'{"items": [], "source": "fallback"}')
    return Replied(status=404)


async def test_http_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """All HTTP examples are answered as declared, with the token of the environment; the fallback is seen as one."""
    monkeypatch.setenv("API_TOKEN", "a-token-of-ours")
    operations = []
    for one in examples("orders"):
        async with stand_in() as backend, flying(one, {"orders": backend.url}, links=LINKS) as flyer:
            backend.handler = shop
            operations += await all_of(flyer)
    assert wrong(operations) == []
    assert {one.name for one in operations} == {"place", "look", "chat", "recommend", "cancel"}
    assert [one.name for one in operations if one.answer.degraded] == ["recommend"]


async def test_nats_examples(nats_server: NatsServer) -> None:
    """A responder and a worker do what the page says, on subjects of this test's own."""
    ns = f"d{secrets.token_hex(4)}"
    peer = await nats.connect(nats_server.url.reveal())
    try:
        await peer.jetstream().add_stream(name=ns, subjects=[f"{ns}.orders"])

        async def price(message: Msg) -> None:
            await message.respond(message.data)

        async def work(message: Msg) -> None:
            await peer.publish(msgspec.json.decode(message.data)["reply_to"], message.data)

        await peer.subscribe(f"{ns}.price", cb=price)
        await peer.subscribe(f"{ns}.orders", cb=work)
        await peer.flush()
        await peer.flush()
        (example,) = examples("nats")
        async with flying(example.replace("shop.", f"{ns}."), {"nats": nats_server.url.reveal()}, links=LINKS) as flyer:
            operations = await all_of(flyer)
        await peer.jetstream().delete_stream(ns)
    finally:
        await peer.close()
    assert wrong(operations) == []
    assert {one.name: one.route for one in operations}["price"] == ("driver>nats", "worker>nats")


async def test_sql_examples(postgres_server: PostgresServer) -> None:
    """A table of this test's own."""
    table = f"orders_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(postgres_server.dsn.reveal(), ssl=False)
    try:
        await connection.execute(f"create table {table} (id text primary key, amount int)")
        (example,) = examples("postgres")
        text = example.replace(" orders ", f" {table} ")
        async with flying(text, {"postgres": postgres_server.dsn.reveal()}, links=LINKS) as flyer:
            operations = await all_of(flyer)
        count = await connection.fetchval(f"select count(*) from {table}")
        await connection.execute(f"drop table {table}")
    finally:
        await connection.close()
    assert wrong(operations) == []
    assert count == 1


async def test_tcp_examples() -> None:
    """A cache and a mail server."""
    (example,) = examples("cache")
    async with (
        serving_lines(cache) as values,
        serving_lines(mail) as post,
        flying(example, {"cache": values.url, "mail": post.url}, links=LINKS) as flyer,
    ):
        operations = await all_of(flyer)
    assert wrong(operations) == []
    assert [one.name for one in operations] == ["set", "send"]


def test_every_example_is_run() -> None:
    """No example of the page is left out."""
    callees = [re.search(r"to: (\w+)", one) for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert {one[1] for one in callees if one} == {"orders", "nats", "postgres", "cache"}
    assert all(callees)
