"""What the agent does with a task: ask the model, call the tools it chooses, ask again with their results, remember."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext

import msgspec

from chaos.reference import envelope, problems, telemetry
from chaos.reference.agent.conversation import speak
from chaos.reference.agent.store import Finished, Store
from chaos.reference.agent.tools import SEARCH, search_documents
from chaos.reference.httpcall import Callee
from chaos.reference.messages import Passage, Task, TaskResult, ToolUse
from chaos.reference.openai import ChatMessage

__all__ = ["Worker"]

_INSTRUCTION = "Carry out the task of the user. Use the tools before you answer."


class Worker:
    """Performs tasks; the same one for HTTP and for the queue."""

    def __init__(self, gateway: Callee, rag: Callee, store: Store) -> None:
        self._gateway = gateway
        self._rag = rag
        self._store = store

    async def perform(self, key: str, task: Task, *, announce: str | None = None) -> Finished:
        """Perform a task, or find what an earlier attempt under this key has stored; raises Problem.

        With a subject to announce its end on it comes from the queue, which tries again itself.
        """
        earlier = await self._store.find(key, task)
        if earlier is not None:
            return earlier
        retries = nullcontext() if announce is None else telemetry.retrying_here()
        attributes = {"gen_ai.operation.name": "invoke_agent"}
        with retries, telemetry.span("invoke_agent", telemetry.SpanKind.INTERNAL, attributes):
            result = await self._work(key, task)
        answer = envelope.encode("task.result", result)
        finished = Finished(
            key=key, outcome="task.result", answer=answer, task_id=result.task_id, memory=f"{task.task}\n{result.text}"
        )
        if await self._store.finish(task, finished, announce=announce):
            return finished
        stored = await self._store.find(key, task)  # somebody was faster: theirs counts
        assert stored is not None
        return stored

    async def _work(self, key: str, task: Task) -> TaskResult:
        messages = [
            ChatMessage(role="system", content=_INSTRUCTION),
            ChatMessage(role="user", content=f"Task: {task.task}\nQuery: {task.query}"),
        ]
        choice = await speak(self._gateway, messages, [SEARCH])
        if not choice.tool_calls:
            raise problems.broken("gateway", "the model answered without calling the tool it was told to use")
        messages.append(choice)
        passages: list[Passage] = []
        for number, call in enumerate(choice.tool_calls):
            found = await search_documents(self._rag, task.tenant, call, f"{key}:{number}")
            messages.append(ChatMessage(role="tool", tool_call_id=call.id, content=msgspec.json.encode(found).decode()))
            passages += found
        final = await speak(self._gateway, messages, [SEARCH])
        if not final.content:
            raise problems.broken("gateway", "the model gave no final answer")
        return TaskResult(
            task_id="task-" + hashlib.sha256(key.encode()).hexdigest()[:12],
            text=final.content,
            tools=[ToolUse(name=call.function.name, ok=True) for call in choice.tool_calls],
            sources=[passage.source() for passage in passages],
            tenant=task.tenant,
        )
