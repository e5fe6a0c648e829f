"""Message faults on real HTTP sockets: each action at each phase."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from tests.proxy.test_dataplane_picking import REPLY, answer, request


@pytest.fixture
async def http(rig_of: Any) -> Any:
    """A rig on an HTTP link."""
    return await rig_of(answer, protocol=Protocol.HTTP)


def fault(rig: Any, type_: str, phase: str | None = None, **members: Any) -> Any:
    """A message fault."""
    return rig.proxy.add_toxic(ToxicSpec(type=type_, phase=phase, **members))


async def test_cut_before_resets_and_the_upstream_hears_nothing(http: Any) -> None:
    """RST, nothing of it forwarded."""
    toxic = fault(http, "cut", match="GET /x")
    client = await http.connect()
    await client.send(request("GET /y"))
    assert await client.exactly(len(REPLY)) == REPLY
    await client.send(request("GET /x"))
    assert await client.ending() == "rst"
    assert toxic.hits == 1
    records = http.wire()
    assert [(r.kind, r.signature, r.status, r.faults) for r in records if r.kind in {"acted", "reply", "close"}] == [
        ("reply", "GET /y", "200", ()),
        ("acted", "GET /x", "before cut", ("cut_downstream",)),
        ("reply", "GET /x", "aborted", ("cut_downstream",)),
        ("close", "", "rst", ("cut_downstream",)),
    ]


async def test_error(http: Any) -> None:
    """429 in the callee's place."""
    fault(http, "error", match="GET /x", answer="429", attributes={"retry_after": 1500})
    client = await http.connect()
    await client.send(request("GET /y") + request("GET /x") + request("GET /z"))
    assert await client.exactly(len(REPLY)) == REPLY
    got = b""
    while not got.endswith(REPLY):
        got += await client.recv()
    assert got.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"Retry-After: 2\r\n" in got
