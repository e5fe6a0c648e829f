"""Kind `sql`: one statement with its arguments."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from chaos.model.operation import Answer, AnswerKind, Unmet
from chaos.model.plain import SqlStatement
from chaos.workloads.answers import driver_failure, excerpt
from chaos.workloads.call import Call, Outcome
from chaos.workloads.content import same
from chaos.workloads.operations.doors import Doors, Runner
from chaos.workloads.sockets import broken, unreachable
from chaos.workloads.templates import fill_json

__all__ = ["compile_sql", "status_of"]

# PostgreSQL 18, appendix A: what a service that passes such an error on would answer.
_CANCELED = "57014"
_CLASSES = {
    "08": 503,  # connection exception
    "22": 400,  # data exception
    "23": 409,  # integrity constraint violation
    "28": 403,  # invalid authorization
    "40": 409,  # transaction rollback: serialization failure, deadlock
    "42": 400,  # syntax error or access rule violation
    "53": 503,  # insufficient resources
    "55": 409,  # object not in prerequisite state: a lock not available
    "57": 503,  # operator intervention: shutdown, cannot connect now
}
_RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


def status_of(sqlstate: str) -> int:
    """The HTTP status that a SQLSTATE is like."""
    return 504 if sqlstate == _CANCELED else _CLASSES.get(sqlstate[:2], 500)


def compile_sql(to: str, statement: SqlStatement) -> Runner:
    """The runner of a statement."""
    args = [fill_json(one) for one in statement.args]
    checks = _Checks(statement)

    async def run(call: Call, doors: Doors) -> Outcome:
        import asyncpg  # an extra: its door says so when it is missing

        values = [one(call) for one in args]
        connecting = True
        try:
            async with doors.plain.sql[to].connection() as connection:
                connecting = False
                try:
                    seen = await checks.run(connection, values)
                except asyncpg.PostgresError as error:  # an answer: the connection may be kept
                    return _ended(call, _error(error))
                call.received()
                call.ended()
                unmet = tuple(checks.unmet(call, *seen))
                return Outcome(answer=Answer(kind=AnswerKind.OK), unmet=unmet)
        except asyncpg.PostgresError as error:
            return _ended(call, _error(error))
        except OSError as error:
            lost = not connecting or error.errno in _RESET
            return _ended(call, broken(error) if lost else unreachable(error))
        except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            return _ended(call, driver_failure("protocol", f"{type(error).__name__}: {error}"))

    return run


def _ended(call: Call, answer: Answer) -> Outcome:
    if answer.layer == "system":
        call.received()
    call.ended()
    return Outcome(answer=answer)


def _error(error: Any) -> Answer:
    """The server's error, or what asyncpg says with the words of one when the connection broke."""
    import asyncpg

    if isinstance(error, asyncpg.ConnectionDoesNotExistError):
        last = error.__cause__
        if not isinstance(last, asyncpg.PostgresError):
            return broken(last if isinstance(last, OSError) else EOFError())
        error = last  # the server said why before it closed
    # asyncpg makes some itself, such as for an argument of another type than the statement wants.
    if getattr(error, "severity", None) is None:
        return driver_failure("protocol", f"{type(error).__name__}: {error}")
    code = str(error.sqlstate or "")
    return Answer(kind=AnswerKind.ERROR, status=status_of(code), code=code or None, detail=excerpt(str(error)) or None)


class _Checks:
    """Runs a statement and compares what it returned or changed with what is declared."""

    def __init__(self, statement: SqlStatement) -> None:
        self._query = statement.query
        self._rows = statement.rows
        self._value = None if statement.value is UNSET else fill_json(statement.value)

    async def run(self, connection: Any, values: list[Any]) -> tuple[int, Any]:
        """How many rows, and the first column of the first one (where it is asked for)."""
        if self._value is None:
            status = await connection.execute(self._query, *values)
            count = status.rpartition(" ")[2]
            return int(count) if count.isdecimal() else 0, None
        rows = await connection.fetch(self._query, *values)
        return len(rows), rows[0][0] if rows and len(rows[0]) else UNSET

    def unmet(self, call: Call, count: int, value: Any) -> Iterator[Unmet]:
        """What is not as declared."""
        if self._rows is not None and count != self._rows:
            yield Unmet(check="rows", expected=str(self._rows), seen=str(count))
        if self._value is not None:
            expected = self._value(call)
            if not _equal(value, expected):
                yield Unmet(check="value", expected=excerpt(_text(expected)), seen=excerpt(_text(value)))


def _equal(seen: Any, expected: Any) -> bool:
    """Equal as values, or as the text of a type that JSON does not have; JSON columns come as text."""
    if seen is UNSET:
        return False
    if same(seen, expected):
        return True
    if isinstance(expected, dict | list) and isinstance(seen, str):
        try:
            return same(msgspec.json.decode(seen), expected)
        except msgspec.DecodeError:
            return False
    plain = isinstance(seen, bool | int | float | str | None)
    return not plain and isinstance(expected, str | int | float) and str(seen) == str(expected)


def _text(value: Any) -> str:
    return "no row" if value is UNSET else "null" if value is None else str(value)
