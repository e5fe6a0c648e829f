"""Who is connected to Postgres and NATS, as the servers themselves tell it: what the bypass check compares with the proxy's record.

Asked on connections of our own, which are left out. Connections that are closed already are told, too: Postgres logs each login,
nats-server remembers the last ten thousand.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Any

import httpx

from chaos.errors import NotReadyError
from chaos.system.nats import NatsServer
from chaos.system.postgres import ADMIN, PostgresServer

__all__ = ["OUR_NAME", "Caller", "nats_callers", "postgres_callers"]

OUR_NAME = "chaos-drill"
"""How connections to NATS that the run opens past the proxy are to call themselves; in Postgres they belong to the superuser."""

WITHIN_S = 5.0
_MOST_CONNECTIONS = 20_000

_BACKENDS = """
SELECT pid, coalesce(application_name, '') AS name, host(client_addr) AS host, coalesce(client_port, 0) AS port
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename IS DISTINCT FROM $1
"""
_LOG_LINE = re.compile(
    rb"\[(?P<pid>\d+)\] LOG:  connection (?:received: host=(?P<host>\S+)(?: port=(?P<port>\d+))?"
    rb"|authorized: user=(?P<user>.*?) database=.*?(?: application_name=(?P<name>.*?))?(?: SSL enabled .*)?)\s*$",
    re.MULTILINE,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A client's connection: what the client calls itself, its end's address (empty if unknown) and port (0 if there is none).

    `key` is the number that the server gave the connection, as the wire log writes it: `pid=` or `cid=`.
    """

    name: str
    host: str
    port: int
    key: str


async def postgres_callers(server: PostgresServer) -> tuple[Caller, ...]:
    """Backends of clients that are there now, and logins that the server's log tells of. Raises NotReadyError."""
    import asyncpg

    logged = await asyncio.to_thread(_logged, server.child.log)
    try:
        async with asyncio.timeout(WITHIN_S):
            connection = await asyncpg.connect(server.admin_dsn.reveal(), ssl=False)
            try:
                rows = await connection.fetch(_BACKENDS, ADMIN)
            finally:
                connection.terminate()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise NotReadyError(f"Postgres does not tell who is connected ({_reason(error)})") from error
    living = [
        Caller(name=one["name"], host=one["host"] or "", port=one["port"], key=f"pid={one['pid']}") for one in rows
    ]
    return tuple({(one.key, one.port): one for one in (*logged, *living)}.values())


def _logged(log: Path) -> list[Caller]:
    """Logins in the log, the superuser's left out."""
    try:
        text = log.read_bytes()
    except OSError as error:
        raise NotReadyError(f"Postgres' log cannot be read ({error.strerror})") from error
    found, received = [], {}
    for match in _LOG_LINE.finditer(text):
        if match["user"] is None:
            received[match["pid"]] = match["host"].decode("utf-8", "replace"), int(match["port"] or 0)
        elif match["user"] != ADMIN.encode():
            host, port = received.get(match["pid"], ("", 0))
            name = (match["name"] or b"").decode("utf-8", "replace")
            found.append(Caller(name=name, host=host, port=port, key=f"pid={match['pid'].decode()}"))
    return found


async def nats_callers(server: NatsServer) -> tuple[Caller, ...]:
    """Connections that said or were told anything, closed ones included. Raises NotReadyError."""
    url = f"http://{server.monitor}/connz?state=all&subs=0&limit={_MOST_CONNECTIONS}"
    try:
        async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - no TLS here
            answer = (await client.get(url)).raise_for_status().json()
            rows = [one for one in answer["connections"] or () if _spoke(one) and one.get("name") != OUR_NAME]
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
        raise NotReadyError(f"nats-server's monitor does not tell who is connected ({_reason(error)})") from error
    if answer.get("total", 0) > len(answer["connections"] or ()):
        raise NotReadyError(f"nats-server's monitor tells of only {len(rows)} of {answer['total']} connections")
    return tuple(
        Caller(name=one.get("name", ""), host=one.get("ip", ""), port=one.get("port", 0), key=f"cid={one['cid']}")
        for one in rows
    )


def _spoke(row: dict[str, Any]) -> bool:
    """A connection that was dropped before its CONNECT carried nothing."""
    return any(row.get(field) for field in ("name", "lang", "in_msgs", "out_msgs", "subscriptions"))


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
