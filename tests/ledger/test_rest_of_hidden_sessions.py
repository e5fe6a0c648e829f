"""Sessions that the ledger's role may not see into: whether they are at rest is not known, and it says what would tell."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest

from chaos.ledger import Access, Limits, audit
from chaos.model.effect import EffectKind, Ledger, SqlRead
from chaos.system import PostgresServer

LEDGER = Ledger(effects=(EffectKind(name="row", about="row", store="postgres", read=SqlRead(sql="SELECT 'a'")),))


@pytest.fixture
async def admin(postgres_server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A session of the superuser."""
    connection = await asyncpg.connect(postgres_server.admin_dsn.reveal(), timeout=10)
    yield connection
    await connection.close()


@pytest.fixture
async def watcher(postgres_server: PostgresServer, admin: asyncpg.Connection) -> AsyncIterator[Access]:
    """Access as a role without rights of its own, to a database of its own in which somebody else has a session."""
    role = name = f"w{secrets.token_hex(5)}"
    host = postgres_server.admin_dsn.reveal().rpartition("@")[2].partition("/")[0]
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    await admin.execute(f"CREATE DATABASE {name}")
    other = await asyncpg.connect(postgres_server.admin_dsn.reveal(), database=name, timeout=10)
    yield Access(postgres_dsn=f"postgresql://{role}:{role}@{host}/{name}?sslmode=disable")
    await other.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.execute(f"DROP ROLE {role}")


async def test_a_session_that_cannot_be_seen_into_is_no_rest(watcher: Access) -> None:
    """It may be amid a transaction; what is stored is read all the same."""
    done = await audit(LEDGER, watcher, Limits(quiet_s=0.5))
    assert not done.quiet.reached
    [left] = done.quiet.left
    assert left.startswith("1 session of chaos_admin whose transactions cannot be seen (GRANT pg_read_all_stats TO w")
    assert [one.op_id for one in done.effects] == ["a"]


async def test_who_may_read_all_stats_sees_rest(watcher: Access, admin: asyncpg.Connection) -> None:
    """The mend that the reason names."""
    role = watcher.postgres_dsn.split("/")[2].partition(":")[0]
    await admin.execute(f"GRANT pg_read_all_stats TO {role}")
    done = await audit(LEDGER, watcher, Limits(quiet_s=20.0))
    assert (done.quiet.reached, done.quiet.left) == (True, ())
