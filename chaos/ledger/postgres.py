"""Postgres for the ledger: effects by query, work that is left, transactions that are open. Nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio

from chaos.ledger.access import OUR_NAME, Access, UnreadableError
from chaos.ledger.rest import Look
from chaos.model.effect import EffectKind, SqlRead, StoredEffect, Unfinished

__all__ = ["Postgres", "open_postgres"]

_CLOSE_WITHIN_S = 1.0
_MOST = 1_000_000
_AT_ONCE = 5_000

# Sessions inside a transaction, a statement of its own included; ours and those of other databases left out.
_OPEN = """
SELECT coalesce(nullif(application_name, ''), usename, ''), coalesce(state, ''), pid, xact_start::text
FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
  AND backend_type = 'client backend'
ORDER BY pid
"""

# Sessions of other roles tell a role without pg_read_all_stats neither whether they are inside a transaction nor what kind they are.
_HIDDEN = """
SELECT coalesce(usename, ''), pid, current_user::text
FROM pg_stat_activity
WHERE query = '<insufficient privilege>' AND pid <> pg_backend_pid() AND datname = current_database()
ORDER BY 1, pid
"""


class Postgres:
    """One connection of ours. Every call keeps `call_s` as its deadline and raises UnreadableError."""

    def __init__(self, connection: Any, role: str, call_s: float) -> None:
        self._connection = connection
        self._role = role
        self._call_s = call_s

    async def look(self, unfinished: Iterable[Unfinished]) -> Look:
        """What is left to be done, who is inside a transaction, and of whom that cannot be seen."""
        with _translated(), anyio.fail_after(self._call_s):
            left: list[str] = []
            for one in unfinished:
                async with self._reading():
                    number = await self._connection.fetchval(one.sql)
                if not isinstance(number, int):
                    raise UnreadableError(
                        f"the query of {one.name} gives {type(number).__name__}; it must give one number"
                    )
                if number:
                    left.append(f"{number} in {one.name}")
            rows = [tuple(row) for row in await self._connection.fetch(_OPEN)]
            hidden = [tuple(row) for row in await self._connection.fetch(_HIDDEN)]
        left += [f"a transaction of {name} ({state})" for name, state, _, _ in rows]
        left += _unseen(hidden)
        return Look(tuple(left), (*rows, *hidden))

    async def read(self, kind: EffectKind) -> list[StoredEffect]:
        """Everything the query of this effect finds."""
        assert isinstance(kind.read, SqlRead)
        counts: dict[str, int] = {}
        with _translated(), anyio.fail_after(self._call_s):
            async with self._reading():
                cursor = await self._connection.cursor(kind.read.sql)
                while rows := await cursor.fetch(_AT_ONCE):
                    for row in rows:
                        op_id, count = _effect(row)
                        counts[op_id] = counts.get(op_id, 0) + count
                    if len(counts) > _MOST:
                        raise UnreadableError(
                            f"the query finds more than {_MOST} op ids; narrow it to those of the run"
                        )
        return [StoredEffect(effect=kind.name, op_id=op_id, count=count) for op_id, count in counts.items()]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """A transaction in which nothing can be changed, with the rights of the role."""
        async with self._connection.transaction(readonly=True):
            if self._role:
                await self._connection.execute("SELECT set_config('role', $1, true)", self._role)
            yield


@asynccontextmanager
async def open_postgres(access: Access, call_s: float) -> AsyncIterator[Postgres]:
    """Connect, and close politely but not for long. Raises UnreadableError when there is no connection to be had."""
    if not access.postgres_dsn:
        raise UnreadableError("it is not known where this system keeps its Postgres")
    with _translated(), anyio.fail_after(call_s):
        import asyncpg

        connection = await asyncpg.connect(
            access.postgres_dsn,
            timeout=call_s,
            command_timeout=call_s,
            server_settings={"application_name": OUR_NAME, "statement_timeout": str(int(call_s * 1000))},
        )
    try:
        yield Postgres(connection, access.postgres_role, call_s)
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_CLOSE_WITHIN_S):
            await connection.close(timeout=_CLOSE_WITHIN_S)
        connection.terminate()


def _unseen(hidden: Sequence[tuple[Any, ...]]) -> list[str]:
    """Sessions that may hold a transaction open, in a line; how to see into them is what mends it."""
    if not hidden:
        return []
    roles, ours = ", ".join(sorted({role for role, _, _ in hidden})), hidden[0][2]
    many = "1 session" if len(hidden) == 1 else f"{len(hidden)} sessions"
    return [f"{many} of {roles} whose transactions cannot be seen (GRANT pg_read_all_stats TO {ours})"]


def _effect(row: Any) -> tuple[str, int]:
    """Op id and count of a row."""
    if len(row) not in {1, 2}:
        raise UnreadableError(f"the query gives {len(row)} columns; it must give op_id, or op_id and a count")
    count = row[1] if len(row) == 2 else 1
    if not isinstance(count, int):
        raise UnreadableError(f"the query's second column is {type(count).__name__}; it must count effects")
    return "" if row[0] is None else str(row[0]), count


@contextmanager
def _translated() -> Iterator[None]:
    """Failures of the store as one error; the server's text names tables and columns, which is what mends a query."""
    try:
        import asyncpg
    except ImportError as error:
        raise UnreadableError("asyncpg, which reads Postgres, is not installed") from error
    try:
        yield
    except TimeoutError as error:
        raise UnreadableError("Postgres did not answer in time") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as error:
        raise UnreadableError(f"Postgres says: {type(error).__name__}: {error}") from error
