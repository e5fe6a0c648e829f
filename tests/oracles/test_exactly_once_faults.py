"""exactly-once: which faults have a cell, and what is found while one is on."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.plan import Plan
from chaos.model.verdict import CellVerdict, Verdict
from chaos.oracles import judge
from tests.oracles import build
from tests.oracles.build import ASK_ROUTE, cell
from tests.oracles.effects import ALL, ASK, INGEST, NONE, RIGHT, TASK, Found, effects_plan, operation, with_good


def under_fault(kind: str, link: str, found: Found, *, hit: bool = True) -> CellVerdict:
    """Thirty tasks and ingests while that fault is on, one of them with what was found."""
    what = effects_plan(build.fault(kind, link))
    tasks = [(operation(TASK, n, at_s=21), found if n == 1 else ALL) for n in range(30)]
    ingests = [(operation(INGEST, n, at_s=21), RIGHT["ingest"]) for n in range(30)]
    fields = {} if hit else {"wire": ()}
    return cell(judge(with_good(*tasks, *ingests, what=what, **fields)), "exactly-once/broken/agent")


def test_a_fault_that_made_it_happen_is_named() -> None:
    """The cell of the fault has the finding, with the link."""
    verdict = under_fault("latency", "agent>nats", {**ALL, "result": 2})
    assert (verdict.verdict, verdict.findings[0].fault, verdict.findings[0].link) == (
        Verdict.VIOLATED, "broken", "agent>nats",
    )  # fmt: skip
    assert "while nats was slow" in verdict.findings[0].cause


@pytest.mark.parametrize("link", ["driver>nats", "agent>nats"])
def test_faults_between_driver_and_system_concern_effects_too(link: str) -> None:
    """Nobody could answer for them, but what was acknowledged is owed all the same."""
    assert under_fault("latency", link, ALL).verdict is Verdict.HOLDS
    assert under_fault("latency", link, NONE).findings[0].error_class == "lost"


def test_without_proof_of_the_fault_nothing_holds() -> None:
    """It may have met nothing. A violation stands."""
    assert under_fault("latency", "agent>nats", ALL, hit=False).verdict is Verdict.UNKNOWN
    assert under_fault("latency", "agent>nats", {"result": 2}, hit=False).verdict is Verdict.VIOLATED


def ids(what: Plan) -> set[str]:
    """Ids of the oracle's cells, without its name."""
    return {one.id.removeprefix("exactly-once/") for one in what.cells if one.oracle == "exactly-once"}


def test_cells_are_derived_for_what_writes() -> None:
    """Per fault on a link of an operation that writes, quiet time, and the run."""
    what = effects_plan(build.fault("latency", "rag>postgres"), build.fault("hang", "driver>nats", name="mute"))
    assert ids(what) == {"none/agent", "none/rag", "broken/rag", "mute/agent", "none/all"}


def test_a_fault_on_the_way_of_reads_only_has_no_cell() -> None:
    """There is no population for it."""
    short = msgspec.structs.replace(INGEST, route=ASK_ROUTE[:2])
    what = effects_plan(build.fault("latency", "rag>postgres"), rag=(short, ASK))
    assert "broken/rag" not in ids(what)
    assert "broken/rag" in {one.cell.id.removeprefix("exactly-once/") for one in what.not_judged}


def test_workloads_without_declared_effects_are_not_judged() -> None:
    """The line says what would enable it."""
    what = effects_plan(rag=(ASK,))
    assert ids(what) == {"none/agent", "none/all"}
    (one,) = (one for one in what.not_judged if one.cell.oracle == "exactly-once")
    assert (one.cell.workload, "leaves effects" in one.enable) == ("rag", True)
    assert ids(build.plan(workloads=("rag", "gateway"))) == set()
