"""Results and memory of the agent in Postgres; a task is stored once, whatever is delivered or asked twice."""

from __future__ import annotations

import hashlib

import msgspec

from chaos.reference import problems, telemetry
from chaos.reference.database import Database
from chaos.reference.messages import Task
from chaos.reference.outbox import Outbox

__all__ = ["TABLES", "Finished", "Store", "request_hash"]

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

_ADD_TASK = """
    INSERT INTO tasks (idempotency_key, op_id, tenant, request_hash, outcome, answer)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING idempotency_key
"""

_ADD_MEMORY = "INSERT INTO memory (op_id, tenant, task_id, text) VALUES ($1, $2, $3, $4)"


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
        rows = await self._database.read("SELECT tasks", _FIND, key)
        if not rows:
            return None
        if rows[0]["request_hash"] != request_hash(task):
            raise problems.conflict("this key was used for another task")
        return Finished(key=key, outcome=rows[0]["outcome"], answer=rows[0]["answer"])

    async def finish(self, task: Task, finished: Finished, *, announce: str | None) -> bool:
        """Store the end of a task, its memory and its announcement together; False if it was stored already."""
        op_id = telemetry.op_id()
        row = (finished.key, op_id, task.tenant, request_hash(task), finished.outcome, finished.answer)
        async with self._database.transaction("INSERT tasks") as connection:
            if await connection.fetchval(_ADD_TASK, *row) is None:
                return False
            if finished.memory:
                await connection.execute(_ADD_MEMORY, op_id, task.tenant, finished.task_id, finished.memory)
            if announce is not None:
                await self._outbox.write(connection, announce, f"result-{finished.key}", finished.answer)
        self._outbox.nudge()
        return True
