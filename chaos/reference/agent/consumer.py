"""The agent's task queue on JetStream: acknowledged after the commit, retried while the deadline allows it."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

from chaos.reference import budget, envelope, problems, spending, telemetry
from chaos.reference.agent.store import Finished, Store
from chaos.reference.agent.work import Worker
from chaos.reference.bus import Bus, lower_case, stream_config, travel_headers
from chaos.reference.messages import QueuedTask
from chaos.reference.problems import Problem
from chaos.reference.settings import Settings

__all__ = ["TaskConsumer"]

log = logging.getLogger(__name__)

_AT_ONCE = 4  # a backlog is worked off beside new requests, not before them
_ACK_WAIT_S = 2.0
_MAX_DELIVER = 50  # lost connections and acknowledgements use deliveries up, too: what ends a task is its deadline
_FETCH_S = 1.0
_PAUSE_S = 0.1
_STORE_END_S = 0.3
_EMPTY_S = 0.02
_ATTEMPTS = 3
# Another attempt is worth asking for if at least this much is left after the pause before it; what is delivered is begun with less.
_WORTHWHILE_MS = 400
_LEAST_MS = 100


class TaskConsumer:
    """Takes tasks from `<ns>.tasks.>` and announces their ends on `<ns>.results.<op id>`."""

    def __init__(self, settings: Settings, worker: Worker, store: Store) -> None:
        self._namespace = settings.namespace
        self._stream = f"{settings.namespace.upper()}_TASKS"
        self._defects = settings.defects
        self._worker = worker
        self._store = store
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._subscribed_on: Client | None = None

    async def prepare(self, bus: Bus) -> None:
        """Make the streams and the durable consumer, and bind to it; safe to repeat."""
        upper, lower = self._namespace.upper(), self._namespace
        jetstream = bus.jetstream
        await jetstream.add_stream(stream_config(self._stream, f"{lower}.tasks.>", RetentionPolicy.WORK_QUEUE))
        await jetstream.add_stream(stream_config(f"{upper}_RESULTS", f"{lower}.results.>", RetentionPolicy.LIMITS))
        await jetstream.add_consumer(
            self._stream,
            ConsumerConfig(
                durable_name="agent",
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=_ACK_WAIT_S,
                max_deliver=_MAX_DELIVER,
                max_ack_pending=256,
            ),
        )
        if self._subscribed_on is not bus.client:
            self._subscription = await jetstream.pull_subscribe_bind("agent", self._stream)
            self._subscribed_on = bus.client

    async def run(self, bus: Bus) -> None:
        """Consume until cancelled, a bounded number of tasks at a time, through every loss of the connection."""
        slots = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await bus.ready.wait()
                await slots.acquire()
                message = await self._next()
                if self._defects.on("consumer-dead-after-reconnect") and bus.losses > 0:
                    log.warning("the task consumer has ended")
                    return
                if message is None:
                    slots.release()
                    continue
                group.create_task(self._serve(bus, message)).add_done_callback(lambda _task: slots.release())

    async def _next(self) -> Msg | None:
        """The next task, or None after a while without one.

        Short requests on purpose: one that was open when the server restarted is never answered.
        """
        assert self._subscription is not None
        try:
            [message] = await self._subscription.fetch(1, timeout=_FETCH_S)
            return message
        except (TimeoutError, nats.errors.TimeoutError):
            await asyncio.sleep(_EMPTY_S)  # a refusal (no responders, no consumer) comes at once and counts as one, too
            return None
        except (nats.errors.Error, js_errors.Error, ValueError) as error:
            log.warning("no task could be fetched: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE_S)
            return None

    async def _serve(self, bus: Bus, message: Msg) -> None:
        headers = lower_case(message.headers)
        attributes = {"messaging.system": "nats", "messaging.destination.name": message.subject}
        with telemetry.incoming(headers), telemetry.span("process", telemetry.SpanKind.CONSUMER, attributes):
            try:
                if self._defects.on("ack-before-processing"):
                    await message.ack()
                    await self._perform_or_drop(message, headers)
                    return
                pause_s = await self._settle_under_budget(bus, message, headers)
                if pause_s is None:
                    await message.ack()
                else:
                    await message.nak(delay=pause_s)
            except (Problem, nats.errors.Error) as error:
                # Neither acknowledged nor refused: it comes back after the ack wait.
                log.warning("a task was left to redelivery: %s", error)
                telemetry.mark_current_failed(error)

    async def _perform_or_drop(self, message: Msg, headers: dict[str, str]) -> None:
        """The work of the defect: nobody delivers the task again, so a failure is the end of it, and nobody is told."""
        try:
            with budget.travel(headers), spending.counted():
                task = envelope.decode(message.data, "task", QueuedTask)
                await self._worker.perform(task.op_id, task, announce=f"{self._namespace}.results.{task.op_id}")
        except Exception as error:  # noqa: BLE001 - what the defect is about
            log.warning("a task failed and is dropped: %s", error)
            telemetry.mark_current_failed(error)

    async def _settle_under_budget(self, bus: Bus, message: Msg, headers: dict[str, str]) -> float | None:
        try:
            with budget.travel(headers), spending.counted():
                async with _kept_from_redelivery(message):
                    return await self._settle(bus, message)
        except Problem as problem:
            if problem.details.code != "invalid_request":
                raise
            await self._refuse(bus, problem)  # the budget cannot be read
            return None

    async def _settle(self, bus: Bus, message: Msg) -> float | None:
        """Bring a task to its end, announced; or give the pause in seconds before another attempt."""
        try:
            task = envelope.decode(message.data, "task", QueuedTask)
        except envelope.EnvelopeError as error:
            if message.metadata.num_delivered == 1:
                return _PAUSE_S  # damaged on its way, perhaps: the stream has the original
            await self._refuse(bus, problems.invalid_request(str(error)))
            return None
        subject = f"{self._namespace}.results.{task.op_id}"
        try:
            left_ms = budget.remaining_ms()
            if left_ms is not None and left_ms <= _LEAST_MS:
                # Begun all the same, it would end in the timeout of a callee that is not to blame.
                raise problems.deadline_exceeded(None, "too little of the task's time was left when it was delivered")
            await self._worker.perform(self._key(task), task, announce=subject)
            return None
        except Exception as error:  # noqa: BLE001 - an edge of the service: everything becomes a result
            problem = problems.from_exception(error)
            telemetry.mark_current_failed(problem)
            pause_s = _pause_s(message.metadata.num_delivered, problem)
            if problem.details.retryable and _another_fits(message.metadata.num_delivered, pause_s):
                log.info("task %s is tried again in %.2f s: %s", task.op_id, pause_s, problem)
                return pause_s
            await self._end_with(bus, subject, task, problem)
            return None

    def _key(self, task: QueuedTask) -> str:
        """The key that makes another delivery of a task find what the first one has stored."""
        if self._defects.on("no-dedup-on-redelivery"):
            return f"{task.op_id}-{secrets.token_hex(4)}"
        return task.op_id

    async def _end_with(self, bus: Bus, subject: str, task: QueuedTask, problem: Problem) -> None:
        """Make the problem the result: stored and announced like any other, or announced alone if it cannot be."""
        payload = _payload(problem)
        finished = Finished(key=task.op_id, outcome="problem", answer=payload)
        try:
            # Its deadline is near or over: a database that is silent must not make the answer late as well.
            async with asyncio.timeout(_STORE_END_S):
                with budget.settling():
                    await self._store.finish(task, finished, announce=subject)
        except (Problem, TimeoutError) as unstored:
            log.warning("the end of task %s is announced without being stored: %r", task.op_id, unstored)
            await self._announce(bus, subject, payload, f"result-{task.op_id}")

    async def _refuse(self, bus: Bus, problem: Problem) -> None:
        """Tell the sender of an unreadable task, if its headers say who asked."""
        log.warning("a task cannot be read: %s", problem)
        telemetry.mark_current_failed(problem)
        if op_id := telemetry.op_id():
            await self._announce(bus, f"{self._namespace}.results.{op_id}", _payload(problem), f"result-{op_id}")

    async def _announce(self, bus: Bus, subject: str, payload: bytes, message_id: str) -> None:
        attributes = {"messaging.system": "nats", "messaging.destination.name": subject}
        with telemetry.span("send", telemetry.SpanKind.PRODUCER, attributes):
            await bus.publish(subject, payload, {**travel_headers(), "Nats-Msg-Id": message_id})


@asynccontextmanager
async def _kept_from_redelivery(message: Msg) -> AsyncIterator[None]:
    """Tell the server at half the ack wait that the work goes on."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(_ACK_WAIT_S / 2)
            try:
                await message.in_progress()
            except nats.errors.Error as error:
                log.info("no heartbeat for a task: %s", type(error).__name__)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


def _pause_s(delivered: int, problem: Problem) -> float:
    """About 1 s, then 3 s, or what Retry-After asks for.

    Jittered: when a dependency comes back, what was waiting for it must not come all at once.
    """
    pause_s = 3.0 ** (delivered - 1) * random.uniform(0.75, 1.25)
    return max(pause_s, problem.details.retry_after_s or 0.0)


def _another_fits(delivered: int, pause_s: float) -> bool:
    left_ms = budget.remaining_ms()
    return delivered < _ATTEMPTS and (left_ms is None or left_ms > pause_s * 1000 + _WORTHWHILE_MS)


def _payload(problem: Problem) -> bytes:
    return envelope.encode_problem(msgspec.structs.replace(problem.details, trace_id=telemetry.trace_id()))
