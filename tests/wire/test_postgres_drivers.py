"""The traffic of drivers and programs through a framed link: byte for byte, every exchange framed and answered.

Each workload passes twice: on a link without faults, and on one whose message faults look at every message and fit none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import ToxicSpec
from chaos.system import PostgresServer
from tests.wire.postgres_workloads import asyncpg_everything, programs_everything, psycopg_everything

NEVER = "no such statement"


@pytest.fixture(params=[False, True], ids=["no faults", "faults that never fit"])
async def teed(teed_of: Any, postgres_server: PostgresServer, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A Postgres link; if there are faults, none of them may act."""
    teed = await teed_of(Protocol.POSTGRES, postgres_server.address)
    toxics = []
    for type_, attributes in (
        (("cut", {}), ("hold", {"hold": 1}), ("malform", {}), ("truncate", {})) if request.param else ()
    ):
        for phase in ("before", "after", "during:1"):
            spec = ToxicSpec(type=type_, name=type_ + phase, phase=phase, match=NEVER, attributes=attributes)
            toxics.append(teed.proxy.add_toxic(spec))
    yield teed
    assert all(toxic.hits == 0 for toxic in toxics)


def assert_framed(records: list[WireRecord]) -> None:
    """Every request has its reply with a real status, nothing was given up, and nothing acted."""
    assert not [row for row in records if row.kind in {"raw", "acted"}]
    asked = {(row.connection, row.number) for row in records if row.kind == "request" and row.direction == ">"}
    told = Counter((row.connection, row.number) for row in records if row.kind == "reply" and row.number)
    silent = {(row.connection, row.number) for row in records if row.signature == "cancel"}
    assert told == Counter(asked - silent)
    assert not [row for row in records if row.kind == "reply" and row.status in {"aborted", "unframed", "dropped", ""}]


async def test_asyncpg_in_daily_life(teed: Any, postgres_server: PostgresServer) -> None:
    """Whatever asyncpg sends passes as it is, and each of its exchanges is told."""
    await asyncpg_everything(postgres_server.dsn_through(teed.address).reveal())
    records = await teed.records()
    teed.assert_untouched()
    assert_framed(records)


async def test_psycopg_in_daily_life(teed: Any, postgres_server: PostgresServer) -> None:
    """Whatever libpq sends passes as it is: pipelines with Flush, and COPY by Execute, whose first Sync the server passes over."""
    await psycopg_everything(postgres_server.dsn_through(teed.address).reveal())
    records = await teed.records()
    teed.assert_untouched()
    assert_framed(records)
    by_execute = [
        row.status for row in records if row.kind == "reply" and row.connection == 2 and row.signature == "COPY"
    ]
    assert by_execute == ["COPY 1", "57014", "22P02"]
    assert [row.status for row in records if row.kind == "reply" and row.signature.startswith("UPDATE")] == [
        "UPDATE 1"
    ] * 2


async def test_programs_in_daily_life(teed: Any, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Whatever pgbench and psql send passes as it is, in every mode of pgbench."""
    await programs_everything(postgres_server.dsn_through(teed.address).reveal(), tmp_path)
    records = await teed.records()
    teed.assert_untouched()
    assert_framed(records)
    updates = [row for row in records if row.kind == "reply" and row.signature.startswith("UPDATE pgbench_accounts")]
    assert [row.status for row in updates] == ["UPDATE 1"] * (3 * 120 + 30)


@pytest.mark.parametrize("phase", ["before", "after", "during:2"])
@pytest.mark.parametrize(
    "workload", [partial(asyncpg_everything, news=False), psycopg_everything], ids=["asyncpg", "psycopg"]
)
async def test_traffic_held_message_by_message(
    teed_of: Any, postgres_server: PostgresServer, workload: Any, phase: str
) -> None:
    """Each message, each answer, or each second row waits for a moment: it is late, and nothing else.

    Notifications are not held: they belong to no exchange, and may pass an answer by.
    """
    teed = await teed_of(Protocol.POSTGRES, postgres_server.address)
    toxic = teed.proxy.add_toxic(ToxicSpec(type="hold", phase=phase, match="*", attributes={"hold": 1}))
    await workload(postgres_server.dsn_through(teed.address).reveal())
    records = await teed.records()
    teed.assert_untouched()
    assert toxic.hits == len([row for row in records if row.kind == "acted"]) > 2
    assert not [row for row in records if row.kind == "raw" or row.status in {"aborted", "unframed", "dropped"}]
