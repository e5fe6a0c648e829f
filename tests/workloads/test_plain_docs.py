"""docs/workloads.md: every example is read as it stands, and flown against a real server that answers as it says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from chaos.model.operation import Operation
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
        case "POST", "/orders":
            return Replied(status=201, body=msgspec.json.encode({"order": body}))
        case "GET", "/orders/1":
            return Replied(body=b'{"amount": 3}')
        case "POST", "/v1/chat":
            return Replied(body=f"data: {body['text']}\n\ndata: [DONE]\n\n".encode(), content_type="text/event-stream")
        case "GET", "/recommendations":
            return Replied(body=b'{"items": [], "source": "fallback"}')
    return Replied(status=404)


async def test_http_examples() -> None:
    """All HTTP examples are answered as declared; the fallback is seen as one."""
    operations = []
    for one in examples("orders"):
        async with stand_in() as backend, flying(one, {"orders": backend.url}, links=LINKS) as flyer:
            backend.handler = shop
            operations += await all_of(flyer)
    assert wrong(operations) == []
    assert {one.name for one in operations} == {"place", "look", "chat", "recommend", "cancel"}
    assert [one.name for one in operations if one.answer.degraded] == ["recommend"]
