"""The driver process with plain workloads: it needs nothing of the reference system, and drives what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from chaos.errors import NotReadyError
from chaos.model.event import PhaseName
from tests.workloads.plain_rig import plan_with, scenario_with
from tests.workloads.rig import HANG_S, running_driver

WORKLOADS = """
- kind: http
  to: orders
  rate: 40/s
  arrivals: constant
  operations:
    place: {request: POST /orders, json: {id: "{op_id}"}, expect: {status: 201, json: {id: "{op_id}"}}}
    look: {request: "GET /orders/{op_id}", expect: {contains: "{op_id}"}}
    stream: {request: GET /stream, expect: {ends_with: "[DONE]"}}
"""


async def _place(request: Request) -> Response:
    return JSONResponse(await request.json(), status_code=201)


async def _look(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"]})


async def _stream(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for one in (b"data: a\n\n", b"data: [DONE]\n\n"):
            yield one
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/event-stream")


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """A starlette application under uvicorn on a free port, stock but for signal handlers."""
    routes = [Route("/orders", _place, methods=["POST"]), Route("/orders/{id}", _look), Route("/stream", _stream)]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.ensure_future(server.serve())
    try:
        async with asyncio.timeout(HANG_S):
            while not server.started:
                await asyncio.sleep(0)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def test_a_service_is_driven_and_probed() -> None:
    """A real ASGI server answers every kind of operation as declared; probes pass, and nothing is lost."""
    async with serving() as url, running_driver() as rig:
        await rig.control.setup(plan_with(scenario_with(WORKLOADS), {"orders": url}), within_s=20)
        await rig.control.phase(PhaseName.BASELINE)
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: len(seen.operations) > 40)
        await rig.control.probe(3, 20_000, {})
        await rig.seen.until(lambda seen: bool(seen.probes))
        await rig.control.stop_load()
        assert await rig.control.drain(10) == 0
        operations = rig.seen.operations
    assert {one.name for one in operations} == {"place", "look", "stream"}
    assert [(one.answer, one.unmet) for one in operations if not one.ok or one.unmet] == []
    assert rig.seen.probes["http"].passed
    assert rig.seen.lost == rig.seen.failures == []


async def test_a_callee_without_an_address_is_named() -> None:
    """Set-up fails with a sentence that names workload and link."""
    async with running_driver() as rig:
        with pytest.raises(
            NotReadyError, match="http operations call orders, but the plan names no address for driver>orders"
        ):
            await rig.control.setup(plan_with(scenario_with(WORKLOADS), {}), within_s=5)
