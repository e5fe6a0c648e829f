"""healed: only a read-back says that a fault is gone, or that it is not."""

from __future__ import annotations

import pytest

from chaos.model.event import HealChecked
from chaos.model.verdict import RunVerdict, Verdict
from chaos.oracles import judge
from tests.oracles.build import SECOND, cell, fault, plan, probes, run, steady_load, with_fault

CLEAN = HealChecked(t_ns=24 * SECOND)
DIRTY = HealChecked(t_ns=24 * SECOND, remaining=("broken on gateway>provider",))
FAILED = HealChecked(t_ns=24 * SECOND, error="the proxy could not be read back")


def healed(*heals: HealChecked, ended: bool = True, **fields: object) -> tuple[Verdict, RunVerdict]:
    """The cell's verdict and the run's, with good load."""
    evidence = run(plan(fault()), *steady_load(10, 26), *probes(), heals=heals, **fields)
    verdict = judge(evidence if ended else with_fault(evidence, heal_ns=None))
    return cell(verdict, "healed/none/all").verdict, verdict


@pytest.mark.parametrize(
    ("heals", "ended", "verdict", "code"),
    [
        ((CLEAN,), True, Verdict.HOLDS, 0),
        ((CLEAN,), False, Verdict.HOLDS, 0),  # the read-back decides
        ((DIRTY,), True, Verdict.VIOLATED, 6),
        ((DIRTY, CLEAN), True, Verdict.HOLDS, 0),  # the last one counts
        ((CLEAN, FAILED), False, Verdict.UNKNOWN, 6),
        ((FAILED,), True, Verdict.UNKNOWN, 3),  # the proxy itself recorded the end
        ((FAILED,), False, Verdict.UNKNOWN, 6),
        ((), True, Verdict.UNKNOWN, 3),
        ((), False, Verdict.UNKNOWN, 6),
    ],
)
def test_read_back_decides(heals: tuple[HealChecked, ...], ended: bool, verdict: Verdict, code: int) -> None:
    """6 when a fault remains, or when nobody can say that it does not."""
    found, whole = healed(*heals, ended=ended)
    assert (found, whole.exit_code) == (verdict, code)


def test_a_remaining_fault_names_itself() -> None:
    """Fault, link, and what to do."""
    _, verdict = healed(DIRTY)
    (finding,) = verdict.findings
    assert (finding.fault, finding.link, finding.error_class) == ("broken", "gateway>provider", "fault-remains")
    assert "chaos-drill recover" in finding.where


def test_a_remaining_fault_wins_over_an_interrupt() -> None:
    """6 before 130."""
    assert healed(DIRTY, interrupted_by="SIGINT")[1].exit_code == 6
    assert healed(CLEAN, interrupted_by="SIGINT")[1].exit_code == 130


def test_a_slow_canary_is_not_a_fault() -> None:
    """A system that does not recover is VIOLATED, and nothing of ours is left."""
    evidence = run(plan(fault(), oracles=("healed",)), *probes(passed=False))
    assert judge(evidence).exit_code == 0
