"""The life of a run, in order. This file owns the list:

    preflight    the journal is open, signals are watched
    bring up     supervisor, proxy, a listener for every link, dependencies, services, driver (chaos.engine.rig)
    baseline     load until two windows are steady; without that nothing is broken and the run is UNKNOWN
    bypass       no connection to Postgres or NATS comes around the proxy; asked again at quiescence
    faults       every fault armed in the proxy with absolute times; it starts and ends them itself
    heal         shielded, with its own deadline, verified by read-back
    recovery     probes until k in a row are right and quick, or T is over; load goes on at least until settle is over
    quiescence   no new starts; operations in flight get their answers or their wait. Shielded and short when the run is over
    audit        once the stores are at rest, the effects of all operations are read back from them (chaos.ledger)
    stop         services first and gracefully, then everything else, by the supervisor
    confirm      if a complete run found what rests on time: second runs by this same list, three at most (chaos.engine.confirming)

An interrupt, an abort condition that is met, a failure, or the loss of a part that the run stands on jumps to heal at any point, from there to
quiescence, and the audit is hurried then; what is there is judged and reported on every path (chaos.engine.drill).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import anyio

from chaos.engine.abort import AbortWatch
from chaos.engine.auditing import audit_stores, mark_stores
from chaos.engine.bypass import check_bypass
from chaos.engine.clock import now_ns, sample_clocks, sleep_until
from chaos.engine.confirming import Ending, confirm
from chaos.engine.healing import heal
from chaos.engine.interrupts import Interrupts, watch_abort, watch_interrupts
from chaos.engine.proxies import HARD_END_SLACK_MS
from chaos.engine.quiescence import end_load, end_load_now
from chaos.engine.recorder import Recorder
from chaos.engine.redaction import Redaction
from chaos.engine.rig import Rig, bring_up
from chaos.engine.signals import Signals
from chaos.engine.steady import SteadyState
from chaos.engine.timeline import LEAD_NS, arm_all, watch_refusals
from chaos.errors import ChaosError, HealError, NotReadyError
from chaos.ledger import Marks
from chaos.model.event import HealChecked, Interrupted, Note, PhaseName, PhaseStarted, RunEnded
from chaos.model.plan import Plan

__all__ = ["conduct"]

_STEADY_EVERY_S = 0.25
_SETTLED_SLACK_NS = 200_000_000
_WIRE_TAIL_S = 0.1  # the proxy ships its log every 5 ms; the last batch follows the last reply


async def conduct(
    plan: Plan, recorder: Recorder, redaction: Redaction, signals: Signals, *, run_id: str, folder: Path
) -> None:
    """Run the drill and record it; the last event says how it ended, and an error a person can mend stands in it."""

    async def once(plan: Plan, recorder: Recorder, run_id: str, logs: Path) -> Ending:
        return await _run_once(plan, recorder, redaction, signals, run_id=run_id, folder=folder, logs=logs)

    ended = await once(plan, recorder, run_id, folder / "logs")
    if ended.how == "complete":
        ended = await confirm(plan, recorder, folder, once)
    recorder.emit(RunEnded(t_ns=now_ns(), how=ended.how, error=ended.error))


async def _run_once(
    plan: Plan, recorder: Recorder, redaction: Redaction, signals: Signals, *, run_id: str, folder: Path, logs: Path
) -> Ending:
    """From preflight to stop, whatever comes; how it ended."""
    how, error = "complete", None
    _enter(recorder, PhaseName.PREFLIGHT)
    with watch_interrupts(signals, lambda name: recorder.emit(Interrupted(t_ns=now_ns(), signal=name))) as interrupts:
        recorder.give_up = interrupts.give_up
        try:
            with interrupts.guard() as coming_up:
                _enter(recorder, PhaseName.BRING_UP)
                async with bring_up(
                    plan,
                    run_id=run_id,
                    folder=folder,
                    logs=logs,
                    redaction=redaction,
                    emit=recorder.emit,
                    give_up=interrupts.give_up,
                ) as rig:
                    # What the rig runs beside the drill (the driver's connection, the lease) must outlive its interrupt.
                    interrupts.let_go(coming_up)
                    if not interrupts.over:
                        await _Conductor(plan, rig, recorder, interrupts).drill()
        except* HealError as problems:
            # Tearing down left something of the run behind: that is read back, so it counts as a fault that remains.
            how, error = "failed", _text(problems)
            recorder.emit(HealChecked(t_ns=now_ns(), remaining=(error,)))
        except* ChaosError as problems:
            how, error = "failed", _text(problems)
    if interrupts.aborted:
        how = "aborted"
    if interrupts.failure is not None:
        how, error = "failed", interrupts.failure  # what came after it is its consequence
    if interrupts.signal is not None:
        how = "interrupted"
    return Ending(how=how, error=error)


def _text(problems: BaseExceptionGroup[ChaosError]) -> str:
    leaves = [_text(one) if isinstance(one, BaseExceptionGroup) else str(one) for one in problems.exceptions]
    return "; ".join(dict.fromkeys(leaves))


def _enter(recorder: Recorder, phase: PhaseName, t_ns: int | None = None) -> None:
    recorder.emit(PhaseStarted(t_ns=now_ns() if t_ns is None else t_ns, phase=phase))


class _Conductor:
    """One run on a rig that is up. Every method is one step of the list above."""

    def __init__(self, plan: Plan, rig: Rig, recorder: Recorder, interrupts: Interrupts) -> None:
        self._plan = plan
        self._rig = rig
        self._recorder = recorder
        self._interrupts = interrupts
        self._settings = plan.scenario.expect.settings
        self._steady = SteadyState(
            plan.scenario.timeline.baseline, self._settings, tuple(one.name for one in plan.workloads)
        )
        self._steady_reached = False
        self._marks: Marks = {}
        recorder.steady = self._steady
        recorder.abort = AbortWatch(plan.scenario.timeline.abort, self._settings.late_ms)

    async def drill(self) -> None:
        """Baseline to stop, with the recorder beside it. Shielded: only its body can be interrupted, never its healing."""
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._recorder.follow_wire, self._rig.control.wire())
                beside.start_soon(self._recorder.follow_driver, self._rig.driver.messages())
                beside.start_soon(self._recorder.show_progress)
                beside.start_soon(sample_clocks, self._recorder.emit)
                beside.start_soon(watch_abort, self._recorder, self._interrupts)
                try:
                    await self._body_and_audit()
                finally:
                    await self._finish()
                    beside.cancel_scope.cancel()

    async def _body_and_audit(self) -> None:
        """Whatever comes of the body: the load ends before the stores are read, or what it leaves meanwhile looks lost."""
        whole = False
        try:
            await self._body()
            whole = True
        finally:
            try:
                await self._quiesce(whole=whole)
            finally:
                await self._audit()

    async def _body(self) -> None:
        """What may be interrupted: everything from the baseline to recovery, with healing in between."""
        try:
            with self._interrupts.guard():
                self._marks = await mark_stores(self._plan, self._rig.system)
                if await self._baseline():
                    await self._check_bypass()
                    await self._faults()
        finally:
            healed_ns = await self._heal()
        with self._interrupts.guard():
            if self._steady_reached:
                await self._recover(healed_ns)

    async def _baseline(self) -> bool:
        start_ns = now_ns()
        await self._enter(PhaseName.BASELINE, start_ns)
        await self._rig.driver.start(start_ns)
        steady = False
        with anyio.move_on_after(self._plan.scenario.timeline.baseline.within_ms / 1000):
            while not (steady := self._steady.reached(start_ns, now_ns())):  # noqa: ASYNC110 - it looks at a moving window
                await anyio.sleep(_STEADY_EVERY_S)
        self._recorder.emit(self._steady.judged(now_ns(), steady=steady))
        self._recorder.steady = None
        self._steady_reached = steady
        return steady

    async def _check_bypass(self) -> None:
        await check_bypass(self._rig.system, self._plan.links, self._recorder.passages, self._recorder.emit)

    async def _faults(self) -> None:
        start_ns = now_ns() + LEAD_NS
        end_ms = self._plan.scenario.timeline.end_ms
        await self._rig.control.renew(hard_end_ms=LEAD_NS / 1e6 + end_ms + HARD_END_SLACK_MS)
        await arm_all(self._rig.control, self._plan, start_ns, self._recorder.emit)
        await sleep_until(start_ns)
        await self._enter(PhaseName.FAULTS, start_ns)
        async with anyio.create_task_group() as group:
            group.start_soon(watch_refusals, self._plan, self._rig.listeners, start_ns, self._recorder.emit)
            await sleep_until(start_ns + int(end_ms * 1e6))

    async def _heal(self) -> int:
        """Remove what is left of the faults and prove it. Returns when that was done."""
        with anyio.CancelScope(shield=True):
            await self._enter(PhaseName.HEAL)
            links = dict.fromkeys(link for fault in self._plan.faults for link in fault.links)
            checked = await heal(
                self._rig.control, links, deadline_ms=self._settings.heal_deadline_ms, emit=self._recorder.emit
            )
            if not checked.remaining and checked.error is None:
                self._rig.healed.set()
        return now_ns()

    async def _recover(self, healed_ns: int) -> None:
        recovery = self._plan.scenario.timeline.recovery
        await self._enter(PhaseName.RECOVERY)
        await self._rig.driver.probe(recovery.probes, recovery.within_ms, self._steady.limits_ms())
        with anyio.move_on_after(recovery.within_ms / 1000 + 2):
            await self._recorder.probed.wait()
        await sleep_until(healed_ns + int(self._settings.settle_ms * 1e6) + _SETTLED_SLACK_NS)

    async def _quiesce(self, *, whole: bool) -> None:
        await self._enter(PhaseName.QUIESCENCE)
        self._recorder.abort = None  # from here on only what was never answered comes in
        ended = False
        if whole and not self._interrupts.over:
            with self._interrupts.guard():
                await end_load(self._rig.driver, self._plan)
                ended = True
                if self._steady_reached:
                    await self._check_bypass()
        if not ended:
            await end_load_now(self._rig.driver)

    async def _audit(self) -> None:
        """Read back what the operations left, whatever came before; an interrupt meanwhile begins it anew, with little time."""
        if not self._plan.leaves_effects:
            return
        await self._enter(PhaseName.AUDIT)
        done = None
        with self._interrupts.guard():
            done = await audit_stores(self._plan, self._rig.system, self._marks, hurried=False)
        if done is None:
            done = await audit_stores(self._plan, self._rig.system, self._marks, hurried=True)
        self._recorder.record_audit(done)

    async def _finish(self) -> None:
        """Services down first and gracefully, then the driver's and the proxy's last words."""
        with anyio.CancelScope(shield=True):
            self._recorder.emit(PhaseStarted(t_ns=now_ns(), phase=PhaseName.STOP))
            for child in self._rig.children.living:
                if child.name == "driver":
                    child.expect_exit()
            await self._rig.driver.quit()
            try:
                await self._rig.system.stop_services()
            except NotReadyError as error:  # taking the rig down kills what does not end
                self._recorder.emit(Note(t_ns=now_ns(), text=str(error)))
            await anyio.sleep(_WIRE_TAIL_S)

    async def _enter(self, phase: PhaseName, t_ns: int | None = None) -> None:
        at_ns = now_ns() if t_ns is None else t_ns
        _enter(self._recorder, phase, at_ns)
        with contextlib.suppress(
            NotReadyError
        ):  # a driver that is gone counts nothing any more; the recorder tells of it
            await self._rig.driver.phase(phase, at_ns=at_ns)
