"""Results and memory of the agent in Postgres; a task is stored once, whatever is delivered or asked twice."""

from __future__ import annotations

import hashlib
import logging

import msgspec

from chaos.reference import problems, telemetry
from chaos.reference.database import Database, worth_another
from chaos.reference.messages import Task
from chaos.reference.outbox import Outbox
from chaos.reference.problems import Problem

__all__ = ["TABLES", "Finished", "Store", "request_hash"]

log = logging.getLogger(__name__)

TABLES = f"""
    CREATE TABLE IF NOT EXISTS tasks (
        idempotency_key text PRIMARY KEY,
        op_id text NOT NULL,
        tenant text NOT NULL,
        request_hash bytea NOT NULL,
        outcome text NOT NULL,
        answer bytea NOT NULL
    );
    CREATE TABLE IF NOT EXISTS memory (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        op_id text NOT NULL,
        tenant text NOT NULL,
        task_id text NOT NULL,
        text text NOT NULL
    );
    {Outbox.table("agent")}
"""

_FIND = "SELECT request_hash, outcome, answer FROM tasks WHERE idempotency_key = $1"

# One statement, one round trip: result, memory and announcement, or nothing of them if the key is known.
_ADD = """
    WITH added AS (
        INSERT INTO tasks (idempotency_key, op_id, tenant, request_hash, outcome, answer)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (idempotency_key) DO NOTHING
        RETURNING op_id, tenant
    ), remembered AS (
        INSERT INTO memory (op_id, tenant, task_id, text)
        SELECT op_id, tenant, $7::text, $8::text FROM added WHERE $8 <> ''
    ), announced AS (
        INSERT INTO agent_outbox (op_id, subject, message_id, headers, payload)
        SELECT op_id, $9::text, $10::text, $11::bytea, $12::bytea FROM added WHERE $9 IS NOT NULL
    )
    SELECT count(*) FROM added
"""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A task's end: its key, its answer as an envelope, and what to remember of it."""

    key: str
    outcome: str
    answer: bytes
    task_id: str = ""
    memory: str = ""


def request_hash(task: Task) -> bytes:
    """What tells two requests under one key apart, whichever way they came."""
    return hashlib.sha256(msgspec.json.encode([task.tenant, task.task, task.query])).digest()


class Store:
    """The agent's memory."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def find(self, key: str, task: Task) -> Finished | None:
        """The end of the task stored under this key; raises Problem 409 if that was another task."""
        rows = await self._database.fetch("SELECT tasks", _FIND, key)
        if not rows:
            return None
        if rows[0]["request_hash"] != request_hash(task):
            raise problems.conflict("this key was used for another task")
        return Finished(key=key, outcome=rows[0]["outcome"], answer=rows[0]["answer"])

    async def finish(self, task: Task, finished: Finished, *, announce: str | None) -> bool:
        """Store the end of a task, its memory and its announcement together; False if it is stored already.

        Written once more when the connection breaks or a race is lost. Perhaps only the reply to COMMIT was lost: then
        the key is known.
        """
        try:
            return await self._write(task, finished, announce)
        except Problem as problem:
            if not worth_another(problem):
                raise
            log.info("the end of a task is written again: %s", problem)
            return await self._write(task, finished, announce)
        finally:
            self._outbox.nudge()

    async def _write(self, task: Task, finished: Finished, announce: str | None) -> bool:
        row = (finished.key, telemetry.op_id(), task.tenant, request_hash(task), finished.outcome, finished.answer)
        memory = (finished.task_id, finished.memory)
        message: tuple[object, ...] = (None, None, None, None)
        if announce is not None:
            message = msgspec.structs.astuple(self._outbox.entry(announce, f"result-{finished.key}", finished.answer))
        async with self._database.transaction("INSERT tasks") as connection:
            return bool(await connection.fetchval(_ADD, *row, *memory, *message))
