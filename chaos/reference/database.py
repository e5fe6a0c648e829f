"""Postgres: a bounded pool that every statement leaves in time, and that heals after the server was gone.

A connection whose statement was cancelled or timed out is terminated, never handed back: a reply may still be on its
way, and waiting for it is how a pool hangs. Postgres ends such a statement itself (`statement_timeout`,
`client_connection_check_interval`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from chaos.reference import budget, problems, spending, telemetry
from chaos.reference.settings import Settings

__all__ = ["Connection", "Database", "worth_another"]

log = logging.getLogger(__name__)

Connection = Any  # asyncpg ships no types

_NAME = "postgres"
_CLOSE_TIMEOUT_S = 0.3
_RETRY_PAUSE_S = 0.2
# One lock for all services: `create ... if not exists` is not safe against itself.
_SCHEMA_LOCK = 7_303_014_402


class Database:
    """The pool of one service; opened and kept by `keep_open`, which makes the tables as well."""

    def __init__(self, settings: Settings, tables: str) -> None:
        self._settings = settings
        self._tables = tables
        self._timeout_ms = settings.db_timeout_ms
        # How long connecting, acquiring and each statement may take; None is for ever, whatever the caller's deadline.
        self._patience_s = None if settings.defects.on("no-pool-acquire-timeout") else settings.db_timeout_ms / 1000
        self._pool: Any = None
        self.ready = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Database {self._settings.service} {'ready' if self.ready.is_set() else 'not ready'}>"

    async def keep_open(self) -> None:
        """Open the pool as soon as Postgres is there and hold it until cancelled."""
        last_error = ""
        while True:
            try:
                async with self._open_pool() as pool:
                    await self._make_tables(pool)
                    self._pool = pool
                    self.ready.set()
                    log.info("connected to postgres")
                    await asyncio.Event().wait()
            except _CANNOT_OPEN as error:
                if type(error).__name__ != last_error:  # once for a series of attempts
                    last_error = type(error).__name__
                    log.warning("postgres is not ready: %s", last_error)
                await asyncio.sleep(_RETRY_PAUSE_S)

    async def fetch(self, summary: str, sql: str, *arguments: object) -> list[Any]:
        """Rows of a statement that may run twice (it reads, or deletes what it names by id).

        Asked once more, on a fresh connection if the first one broke.
        """
        attributes = {"db.system.name": "postgresql", "db.query.summary": summary}
        with telemetry.span(summary, telemetry.SpanKind.CLIENT, attributes), spending.waiting_for(_NAME), _Translated():
            async with asyncio.timeout(self._limit_s()):
                try:
                    return await self._fetch_once(sql, arguments)
                except (*_BROKEN, *_LOST_RACES):
                    return await self._fetch_once(sql, arguments)

    @asynccontextmanager
    async def transaction(self, summary: str) -> AsyncIterator[Connection]:
        """A transaction, committed at the end of the block; the deadline covers the block and the commit.

        Only BEGIN is tried again when a connection turns out to be dead: nothing was sent before it.
        """
        attributes = {"db.system.name": "postgresql", "db.query.summary": summary}
        with telemetry.span(summary, telemetry.SpanKind.CLIENT, attributes), spending.waiting_for(_NAME), _Translated():
            async with asyncio.timeout(self._limit_s()):
                async with self._begun() as connection:
                    yield connection

    def _limit_s(self) -> float | None:
        if self._pool is None:
            raise problems.unavailable(_NAME, "postgres has not been reached since the service started")
        if self._patience_s is None:
            return None
        return budget.limit_ms(self._timeout_ms, _NAME) / 1000

    async def _fetch_once(self, sql: str, arguments: tuple[object, ...]) -> list[Any]:
        async with self._connection() as connection:
            rows: list[Any] = await connection.fetch(sql, *arguments)
            return rows

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Connection]:
        connection = await self._begin()
        try:
            yield connection
            await connection.execute("COMMIT")
        except asyncpg.PostgresError:
            await self._roll_back(connection)
            raise
        except problems.Problem:
            await self._roll_back(connection)
            raise
        except BaseException:
            connection.terminate()
            raise
        finally:
            await self._hand_back(connection)

    async def _begin(self) -> Connection:
        for attempt in (1, 2):
            connection = await self._pool.acquire(timeout=self._patience_s)
            try:
                await connection.execute("BEGIN")
                return connection
            except BaseException as error:
                connection.terminate()
                if attempt == 1 and isinstance(error, _BROKEN):
                    continue
                raise
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await self._pool.acquire(timeout=self._patience_s)
        try:
            yield connection
        except asyncpg.PostgresError:
            raise
        except BaseException:
            connection.terminate()
            raise
        finally:
            await self._hand_back(connection)

    async def _roll_back(self, connection: Connection) -> None:
        try:
            await connection.execute("ROLLBACK")
        except BaseException:
            connection.terminate()
            raise

    async def _hand_back(self, connection: Connection) -> None:
        # No round trip: the pool's reset does nothing, and a terminated connection is gone already.
        await self._pool.release(connection, timeout=_CLOSE_TIMEOUT_S)

    @asynccontextmanager
    async def _open_pool(self) -> AsyncIterator[Any]:
        timeout_s = self._timeout_ms / 1000
        pool = asyncpg.create_pool(
            self._settings.postgres_dsn,
            min_size=2,
            max_size=8,
            timeout=self._patience_s,
            command_timeout=self._patience_s,
            reset=_keep_session,
            server_settings={
                "application_name": self._settings.service,
                "search_path": f"{self._settings.namespace},public",
                "statement_timeout": str(2 * self._timeout_ms),
                "idle_in_transaction_session_timeout": str(2 * self._timeout_ms),
                "client_connection_check_interval": "500",
            },
        )
        try:
            async with asyncio.timeout(2 * timeout_s):
                await pool
            yield pool
        finally:
            self.ready.clear()
            self._pool = None
            await _close(pool)

    async def _make_tables(self, pool: Any) -> None:
        async with asyncio.timeout(4 * self._timeout_ms / 1000), pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._settings.namespace}")
            await connection.execute(self._tables)


def worth_another(problem: problems.Problem) -> bool:
    """Whether a failed transaction is worth another attempt: not after a timeout, which has used the time for it."""
    return problem.details.retryable and problem.details.code != "dependency_timeout"


async def _keep_session(_connection: Connection) -> None:
    """Instead of asyncpg's reset: these services keep no session state that would have to be undone."""


async def _close(pool: Any) -> None:
    """Close politely, but not for long: on a dead socket even closing can hang."""
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await pool.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pool.terminate()


_CANNOT_OPEN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_BROKEN = (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
_LOST_RACES = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_GONE = (
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.PostgresConnectionError,
)


class _Translated:
    """Failures of the database as problems; the server's text stays in the log, it may quote data."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
            raise problems.timed_out(_NAME, "postgres did not answer in time") from error
        if isinstance(error, _LOST_RACES):
            raise problems.conflict("lost a race for a row", dependency=_NAME, retryable=True) from error
        if isinstance(error, (*_GONE, OSError, asyncpg.InterfaceError)):
            raise problems.unavailable(_NAME, "postgres cannot be reached or closed the connection") from error
        if isinstance(error, asyncpg.PostgresError):
            log.error("postgres refused a statement: %s %s", error.sqlstate, type(error).__name__)
            raise problems.broken(_NAME, f"postgres refused the statement ({error.sqlstate})") from error
        if isinstance(error, Exception) and not isinstance(error, problems.Problem):
            log.error("an answer of postgres cannot be read", exc_info=error)
            raise problems.broken(_NAME, "postgres gave an answer that cannot be read") from error
