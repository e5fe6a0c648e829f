"""Kind `agent`: tasks over HTTP (`run`) and from the work queue on JetStream (`task`)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chaos.model.operation import Unmet
from chaos.workloads.answers import excerpt
from chaos.workloads.call import Call, Outcome
from chaos.workloads.envelope import pack
from chaos.workloads.operations.doors import Doors
from chaos.workloads.operations.judging import judge_message, judge_reply
from chaos.workloads.operations.rag import Source

__all__ = ["run", "task"]

_TOOL = "search_documents"


class _Tool(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ok: bool


class _TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    task_id: str
    text: str
    tools: list[_Tool]
    sources: list[Source]
    tenant: str
    degraded: bool = False


async def run(call: Call, doors: Doors) -> Outcome:
    """`POST /v1/agent/tasks`: the result comes as the answer."""
    reply = await doors.http.post(
        call, doors.api("/v1/agent/tasks"), pack("task", _data(call)), headers={"Idempotency-Key": call.op_id}
    )
    return judge_reply(reply, "task.result", _TaskResult, lambda result: _check(call, doors, result))


async def task(call: Call, doors: Doors) -> Outcome:
    """A task on the queue: the PubAck is `accepted`, the message on the result's subject is the answer."""
    bus = doors.bus()
    payload = pack("task", {**_data(call), "op_id": call.op_id})
    with bus.completion(call.op_id) as completion:
        refusal = await bus.enqueue(call, bus.subject(f"tasks.{call.tenant}"), payload)
        if refusal is not None:
            call.ended()
            return Outcome(answer=refusal)
        result = await completion.wait()
        call.first_byte_ns = call.ended_ns = completion.t_ns
    return judge_message(result, "task.result", _TaskResult, lambda value: _check(call, doors, value))


def _data(call: Call) -> dict[str, str]:
    query = " ".join(call.document.words)
    return {"tenant": call.tenant, "task": f"Tell what the records say about {query}. {call.nonce}", "query": query}


def _check(call: Call, doors: Doors, result: _TaskResult) -> Iterator[Unmet]:
    doc_ids = [source.doc_id for source in result.sources]
    yield from doors.checks.tenant(call, result.tenant, result.text, doc_ids)
    if result.degraded:
        return
    yield from doors.checks.input_digest(call, result.text)
    yield from doors.checks.document_digest(call, result.text)
    yield from doors.checks.sources(call, doc_ids)
    if not any(tool.name == _TOOL and tool.ok for tool in result.tools):
        seen = ", ".join(f"{tool.name} {'ok' if tool.ok else 'failed'}" for tool in result.tools)
        yield Unmet(check="tool", expected=f"{_TOOL} ok", seen=excerpt(seen) or "no tool")
