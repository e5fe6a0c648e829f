"""Postgres and NATS from their wheels."""

from __future__ import annotations

import asyncpg
import nats

from chaos.system import NatsServer, PostgresServer


async def test_postgres_serves_vectors(postgres_server: PostgresServer) -> None:
    """The application's role can use pgvector through the DSN."""
    connection = await asyncpg.connect(postgres_server.dsn.reveal(), timeout=10)
    try:
        assert await connection.fetchval("SELECT '[1,0]'::vector <=> '[1,0]'::vector") == 0
        assert await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user") is False
    finally:
        await connection.close()


async def test_postgres_has_no_unix_socket(postgres_server: PostgresServer) -> None:
    """Loopback TCP is the only way in."""
    connection = await asyncpg.connect(postgres_server.admin_dsn.reveal(), timeout=10)
    try:
        assert await connection.fetchval("SHOW unix_socket_directories") == ""
        assert await connection.fetchval("SHOW listen_addresses") == "127.0.0.1"
    finally:
        await connection.close()


async def test_postgres_wants_the_password(postgres_server: PostgresServer) -> None:
    """A wrong password is refused."""
    address = postgres_server.address
    try:
        await asyncpg.connect(f"postgres://chaos:wrong@{address}/chaos", timeout=10)
    except asyncpg.InvalidPasswordError:
        return
    raise AssertionError("logged in with a wrong password")


async def test_nats_serves_jetstream(nats_server: NatsServer) -> None:
    """A stream can be made and published to with the run's credentials, and no other URLs are advertised."""
    client = await nats.connect(nats_server.url.reveal(), connect_timeout=10)
    try:
        stream = client.jetstream()
        await stream.add_stream(name="SERVERS", subjects=["servers.>"])
        assert (await stream.publish("servers.one", b"1")).seq == 1
        assert len(client.servers) == 1
    finally:
        await client.close()


async def test_servers_do_not_show_their_secrets(postgres_server: PostgresServer, nats_server: NatsServer) -> None:
    """Neither repr nor the command line holds a credential."""
    shown = f"{postgres_server!r} {postgres_server.dsn} {nats_server!r} {nats_server.url!r}"
    for server in (postgres_server, nats_server):
        shown += " ".join(server.child.spec.argv)
    for secret in (postgres_server.password, postgres_server.admin_password, nats_server.password):
        assert secret.reveal() not in shown
