"""Deriving the cells: which oracle judges what, and why not."""

from __future__ import annotations

import pytest

from chaos.errors import UsageError
from chaos.model.plan import Plan
from chaos.oracles import ORACLES
from tests.oracles.build import fault, plan


def ids(what: Plan, oracle: str) -> set[str]:
    """Ids of an oracle's cells, without its name."""
    return {one.id.removeprefix(f"{oracle}/") for one in what.cells if one.oracle == oracle}


def reasons(what: Plan, oracle: str) -> dict[str, str]:
    """Why cells of an oracle are not judged."""
    return {
        one.cell.id.removeprefix(f"{oracle}/"): f"{one.reason} | {one.enable}"
        for one in what.not_judged
        if one.cell.oracle == oracle
    }


@pytest.mark.parametrize("oracle", ["bounded", "error-class", "ok-means-ok", "cause-kept"])
def test_one_cell_for_each_fault_and_workload_that_meet(oracle: str) -> None:
    """The route must contain the faulted link; time without a fault is a cell, too."""
    what = plan(fault(), fault("latency", "rag>postgres", name="slow"), workloads=("rag", "gateway"))
    assert ids(what, oracle) == {"none/rag", "none/gateway", "broken/rag", "broken/gateway", "slow/rag"}
    assert "no operation of gateway uses rag>postgres" in reasons(what, oracle)["slow/gateway"]
    assert "on: gateway>provider" in reasons(what, oracle)["slow/gateway"]


@pytest.mark.parametrize("oracle", ["bounded", "error-class", "cause-kept"])
def test_links_of_the_driver_are_not_judged_for_how_the_system_answers(oracle: str) -> None:
    """There the fault sits between the driver and the system."""
    what = plan(fault("hang", "driver>api"))
    assert ids(what, oracle) == {"none/rag"}
    assert "driver>api is between the driver and the system" in reasons(what, oracle)["broken/rag"]


def test_links_of_the_driver_are_judged_for_content_and_injection() -> None:
    """What is ok must still be right, and the fault must act."""
    what = plan(fault("hang", "driver>api"))
    assert ids(what, "ok-means-ok") == {"none/rag", "broken/rag"}
    assert ids(what, "injected") == {"broken/all"}


def test_a_service_behind_a_broker_cannot_answer_for_its_own_link_to_it() -> None:
    """Request and reply over NATS with the service's NATS link gone: the broker answers for nobody."""
    what = plan(fault("refuse", "gateway>nats"), workloads=("gateway",))
    assert "broken/gateway" not in ids(what, "bounded")
    assert "gateway>nats is between" in reasons(what, "bounded")["broken/gateway"]


def test_a_queue_waits_for_its_consumer() -> None:
    """Asynchronous work is judged when its consumer's link is faulted."""
    assert "broken/agent" in ids(plan(fault("refuse", "agent>nats"), workloads=("agent",)), "bounded")


def test_run_level_oracles_have_one_cell_each() -> None:
    """Injected per fault, healed per run, recovers and steady per workload."""
    what = plan(fault(), workloads=("rag", "gateway"))
    assert ids(what, "injected") == {"broken/all"}
    assert ids(what, "healed") == {"none/all"}
    assert ids(what, "recovers") == ids(what, "steady") == {"none/rag", "none/gateway"}


def test_without_faults_only_quiet_time_is_judged() -> None:
    """Nothing to heal or to recover from, and no effects are declared."""
    assert {one.oracle for one in plan().cells} == {one.name for one in ORACLES} - {
        "exactly-once",
        "isolation",
        "injected",
        "healed",
        "recovers",
    }


def test_what_the_scenario_does_not_ask_for_is_listed() -> None:
    """With the line that would enable it."""
    what = plan(fault(), oracles=("bounded",))
    assert {one.oracle for one in what.cells} == {"bounded"}
    assert reasons(what, "healed") == {
        "none/all": "the scenario does not ask for it | expect.oracles: [bounded, healed]"
    }


@pytest.mark.parametrize(
    ("faults", "oracles", "text"),
    [
        ((fault(),), (), "no oracle applies"),
        ((), ("injected",), "no oracle applies"),
        ((fault(),), ("bouded",), "did you mean bounded"),
    ],
)
def test_a_scenario_without_a_cell_is_refused(faults: tuple, oracles: tuple[str, ...], text: str) -> None:  # type: ignore[type-arg]
    """At plan time, before anything is started."""
    with pytest.raises(UsageError, match=text):
        plan(*faults, oracles=oracles)


def test_ids_are_unique() -> None:
    """Nights are compared by them."""
    what = plan(fault(), fault("hang", "driver>api", name="h"), workloads=("rag", "gateway", "agent"))
    every = [one.id for one in what.cells] + [one.cell.id for one in what.not_judged]
    assert len(every) == len(set(every))


def test_oracles_say_what_they_are() -> None:
    """Name and summary, unique and short."""
    assert len({one.name for one in ORACLES}) == len(ORACLES)
    assert all(one.summary and len(one.summary) <= 60 for one in ORACLES)
    assert {one.name for one in ORACLES if one.timing} == {"bounded", "isolation", "recovers", "steady"}
