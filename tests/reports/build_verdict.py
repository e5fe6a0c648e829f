"""A verdict on the sample run, by hand: one oracle violated, one undecided, others hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

from chaos.journal import read_evidence
from chaos.model.evidence import Evidence
from chaos.model.verdict import Cell, CellVerdict, Finding, NotJudged, RunVerdict, Verdict
from tests.journal.build import record_sample


def sample_evidence() -> Evidence:
    """The evidence of the sample run."""
    with tempfile.TemporaryDirectory() as folder:
        return read_evidence(record_sample(Path(folder) / "run"))


def sample_finding(cause: str = "", seen: str = "500 internal", where: str = "api>rag, logs/api.log") -> Finding:
    """A generic 500 under a refused provider."""
    return Finding(
        oracle="error-class",
        cause=cause or "api answered 500 internal without naming the dependency while provider refused connections",
        expected="502, 503 or 504",
        seen=seen,
        error_class="generic-500",
        fault="provider-gone",
        link="gateway>provider",
        workload="gateway",
        signature="chat",
        operation="gateway-63",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        where=where,
        evidence=("8.350s gateway>provider close refused", "8.352s driver>gateway < 500"),
        count=12,
    )


def sample_verdict(*findings: Finding) -> RunVerdict:
    """A verdict with all four outcomes."""
    findings = findings or (sample_finding(),)

    def cell(
        oracle: str, fault: str | None, workload: str | None, verdict: Verdict, reason: str, **more: object
    ) -> CellVerdict:
        return CellVerdict(
            cell=Cell(oracle=oracle, fault=fault, workload=workload), verdict=verdict, reason=reason, **more
        )  # type: ignore[arg-type]

    held = {"population": 40, "decided": 40, "required": 20}
    return RunVerdict(
        run_id="run-1",
        scenario="quickstart",
        verdict=Verdict.VIOLATED,
        exit_code=1,
        cells=(
            cell("bounded", "slow-postgres", "rag", Verdict.HOLDS, "40 operations answered in time", **held),
            cell("bounded", None, "rag", Verdict.HOLDS, "40 operations answered in time", **held),
            cell("error-class", "provider-gone", "gateway", Verdict.VIOLATED, "12 of 12 operations", findings=findings, violated=12),
            cell("error-class", "provider-gone", "rag", Verdict.HOLDS, "20 operations held", **held),
            cell("injected", "slow-postgres", None, Verdict.HOLDS, "1 connection acted on", decided=1),
            cell("injected", "nats-reset", None, Verdict.UNKNOWN, "the fault began, but no traffic met it on agent>nats"),
            cell("cause-kept", "nats-reset", "rag", Verdict.UNKNOWN, "the fault was not injected", error="ZeroDivisionError: x"),
            cell("healed", None, None, Verdict.HOLDS, "read-back shows no fault of ours"),
            cell("recovers", None, "rag", Verdict.HOLDS, "first ok after 0.2 s, steady after 1.4 s"),
        ),
        not_judged=tuple(
            NotJudged(
                cell=Cell(oracle=oracle, fault="nats-reset", workload="gateway"),
                reason="no route of gateway uses agent>nats",
                enable="workloads: [{kind: agent}]",
            )
            for oracle in ("bounded", "error-class", "isolation")
        ),
        notes=("the driver started 2 operations late",),
    )  # fmt: skip
