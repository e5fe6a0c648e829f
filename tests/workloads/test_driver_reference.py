"""The driver against the reference backend: everything it declares about content is met, and failures are told as they are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from chaos.model.event import PhaseName
from chaos.model.operation import AnswerKind, EffectState
from chaos.system import NatsServer, PostgresServer
from chaos.workloads import DriverPlan, Endpoints
from tests.reference.rig import Backend
from tests.workloads.rig import driver_plan, kind_plan, running_driver


@pytest.fixture(scope="module")
def backend(
    postgres_server: PostgresServer, nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """The correct reference backend, its relays on a loop of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    backend = Backend(postgres_server, nats_server, tmp_path_factory.mktemp("driven"), loop)
    try:
        backend.start()
        yield backend
    finally:
        backend.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def plan_for(backend: Backend, nats_server: NatsServer, deadline_ms: float | None = None) -> DriverPlan:
    """All three kinds, so slowly that a machine busy with other tests keeps up."""
    endpoints = Endpoints(api=backend.url("api"), gateway=backend.url("gateway"), nats=nats_server.url.reveal())
    workloads = (
        kind_plan("agent", rate=1, deadline_ms=deadline_ms),
        kind_plan("rag", rate=2, deadline_ms=deadline_ms),
        kind_plan("gateway", rate=2, deadline_ms=deadline_ms),
    )
    return driver_plan(*workloads, endpoints=endpoints, key=backend.digest_key, namespace=backend.namespace)


async def test_a_healthy_backend_meets_every_declaration(backend: Backend, nats_server: NatsServer) -> None:
    """Operations of all kinds are ok with their content as declared, then probes pass, and nothing is lost."""
    async with running_driver() as rig:
        await rig.control.setup(plan_for(backend, nats_server, deadline_ms=20_000), within_s=30)
        await rig.control.phase(PhaseName.BASELINE)
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(
            lambda seen: len(Counter(one.name for one in seen.operations)) == 7 and len(seen.operations) > 20
        )
        await rig.control.probe(5, 20_000, {})
        await rig.seen.until(lambda seen: len(seen.probes) == 3)
        await rig.control.stop_load()
        assert await rig.control.drain(20) == 0
        await rig.control.quit()
        await rig.seen.until(lambda seen: seen.ended)
    bad = [(one.name, one.answer, one.unmet) for one in rig.seen.operations if not one.ok or one.unmet]
    assert bad == []
    assert all(one.passed for one in rig.seen.probes.values())
    assert {one.effect for one in rig.seen.operations} == {EffectState.APPLIED, EffectState.READ}
    assert all(one.accepted_ns > 0 for one in rig.seen.operations if one.asynchronous)
    assert rig.process.returncode == 0
    started = sum(one.started for one in rig.seen.counts.values())
    assert started == sum(not one.probe for one in rig.seen.operations)
    assert (rig.seen.lost, rig.seen.failures) == ([], [])


async def test_a_refusing_provider_is_told_as_the_backend_tells_it(backend: Backend, nats_server: NatsServer) -> None:
    """With the provider's link refusing, answers name the provider with a status, and writes are of unknown effect."""
    async with running_driver() as rig:
        await rig.control.setup(plan_for(backend, nats_server, deadline_ms=2000), within_s=30)
        backend["gateway>provider"].fault("refuse")
        try:
            await rig.control.probe(5, 3_000, {})
            await rig.seen.until(lambda seen: len(seen.probes) == 3)
            await rig.control.drain(25)
        finally:
            backend.heal()
        await rig.control.quit()
    assert not any(one.passed for one in rig.seen.probes.values())
    errors = [one for one in rig.seen.operations if one.answer.kind is AnswerKind.ERROR]
    assert len(errors) > 5
    assert {one.answer.dependency for one in errors} == {"provider"}
    assert {one.answer.status for one in errors} <= {502, 503, 504}
    assert {one.effect for one in errors} == {EffectState.UNKNOWN, EffectState.READ}


async def test_a_swallowed_error_is_ok_with_unmet_content(backend: Backend, nats_server: NatsServer) -> None:
    """A rag that hides its provider's failure under 200 is caught by content: its answers hold no digest."""
    backend.services["rag"].stop()
    backend.start("rag", CHAOS_DEFECTS="swallowed-error")
    plan = driver_plan(
        kind_plan("rag", "ask"),
        endpoints=Endpoints(api=backend.url("api")),
        key=backend.digest_key,
        namespace=backend.namespace,
    )
    try:
        async with running_driver() as rig:
            await rig.control.setup(plan, within_s=30)
            backend["gateway>provider"].fault("refuse")
            await rig.control.probe(5, 2_000, {})
            await rig.seen.until(lambda seen: len(seen.probes) == 1)
            await rig.control.drain(10)
            await rig.control.quit()
    finally:
        backend.heal()
        backend.services["rag"].stop()
        backend.start("rag")
    assert not rig.seen.probes["rag"].passed
    swallowed = [one for one in rig.seen.operations if one.ok]
    assert swallowed
    assert all(one.unmet for one in swallowed)
