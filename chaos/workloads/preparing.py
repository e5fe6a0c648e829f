"""Before the load: wait until the system's doors answer, and store the documents that questions will be about."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from chaos.errors import NotReadyError
from chaos.workloads.call import new_call
from chaos.workloads.corpus import Corpus, SeedDocument
from chaos.workloads.operations import RUNNERS, Doors, find_runner
from chaos.workloads.operations.rag import judge_ingested, post_document
from chaos.workloads.protocol import DriverPlan

__all__ = ["prepare", "refuse_unknown"]

_log = logging.getLogger(__name__)
_INGEST_DEADLINE_MS = 3000.0
_TRY_WITHIN_S = 3.0
_AT_ONCE = 4
_NEEDS_DOCUMENTS = frozenset({"agent", "rag"})


def refuse_unknown(plan: DriverPlan) -> None:
    """Raise NotReadyError when the plan holds an operation that no module sends."""
    for workload in plan.workloads:
        for operation in workload.operations:
            if find_runner(workload.spec, operation.name) is None:
                known = (
                    ", ".join(sorted(name for kind, name in RUNNERS if kind == workload.spec.kind))
                    or "none of this kind"
                )
                raise NotReadyError(
                    f"workload {workload.name}: kind {workload.spec.kind} has no operation {operation.name}; known: {known}"
                )


async def prepare(plan: DriverPlan, doors: Doors, corpus: Corpus, within_s: float) -> None:
    """Wait until every door answers, then store the seed documents. Raises NotReadyError with what kept failing.

    Doors are `/healthz` of the reference system's, and the databases of plain workloads.
    """
    last = {"what": "the system was not asked yet"}

    async def attempt(what: str, one: Callable[[], Awaitable[str | None]]) -> None:
        await _until_well(what, one, last)

    try:
        with anyio.fail_after(within_s):
            async with anyio.create_task_group() as group:
                for name, base in (("api", plan.endpoints.api), ("gateway", plan.endpoints.gateway)):
                    if base is not None:
                        url = base.rstrip("/") + "/healthz"
                        group.start_soon(
                            attempt, f"GET /healthz of {name} at {url}", lambda url=url: doors.http.healthy(url)
                        )
                for to, door in doors.plain.sql.items():
                    group.start_soon(attempt, f"select 1 on driver>{to}", door.answers)
            if any(one.spec.kind in _NEEDS_DOCUMENTS for one in plan.workloads):
                await _store_documents(plan, doors, corpus, attempt)
    except TimeoutError:
        raise NotReadyError(f"the system was not ready within {within_s:.1f} s: {last['what']}") from None


async def _store_documents(
    plan: DriverPlan,
    doors: Doors,
    corpus: Corpus,
    attempt: Callable[[str, Callable[[], Awaitable[str | None]]], Awaitable[None]],
) -> None:
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def store(document: SeedDocument) -> None:
        async with limiter:
            await attempt(f"seed document {document.doc_id}", lambda: _store(plan, doors, corpus, document))

    async with anyio.create_task_group() as group:
        for document in corpus.documents:
            group.start_soon(store, document)


async def _store(plan: DriverPlan, doors: Doors, corpus: Corpus, document: SeedDocument) -> str | None:
    """Send a document once: None when it is stored, else what came instead."""
    call = new_call(plan.seed, document.op_id, _INGEST_DEADLINE_MS, corpus)
    outcome = judge_ingested(await post_document(call, doors, document), document)
    answer = outcome.answer
    if outcome.unmet:
        return f"{outcome.unmet[0].check}: expected {outcome.unmet[0].expected}, got {outcome.unmet[0].seen}"
    return (
        None
        if answer.kind == "ok"
        else f"{answer.status or answer.layer} {answer.code or ''} {answer.detail or ''}".strip()
    )


async def _until_well(what: str, attempt: Callable[[], Awaitable[str | None]], last: dict[str, str]) -> None:
    """Repeat until it succeeds: readiness of another process can only be polled. The caller's scope is the deadline."""
    pause_s = 0.05
    while True:
        problem: str | None = f"no answer within {_TRY_WITHIN_S:g} s"
        with anyio.move_on_after(_TRY_WITHIN_S):
            problem = await attempt()
        if problem is None:
            return
        last["what"] = f"{what}: {problem}"
        _log.info("not ready: %s", last["what"])
        await anyio.sleep(pause_s)
        pause_s = min(0.5, pause_s * 1.5)
