"""retry-bound of what is published on NATS."""

from __future__ import annotations

import pytest

from chaos.model.evidence import Evidence
from chaos.model.settings import Settings
from tests.oracles.build import MS, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import pair, trails


def classes(evidence: Evidence) -> list[str]:
    """Classes of what is found in quiet time."""
    return [one.error_class for one in judged(evidence, "retry-bound/none/agent").findings]


@pytest.mark.parametrize(
    ("status", "took_ms", "found"),
    [
        ("ok", 1, []),
        ("ok", 500, ["too-many-attempts"]),  # given up on long before the answers came
        ("none", 1, []),  # asks for no answer, so it cannot fail
        ("unanswered", 500, ["too-many-attempts"]),
        ("err 10077", 1, ["too-many-attempts"]),
    ],
)
def test_the_same_published_again_and_again(status: str, took_ms: int, found: list[str]) -> None:
    """On NATS nothing shows that a caller gave up; attempts in time are those before the operation was answered."""
    what = plan(fault(), workloads=("agent",), settings=Settings(retry_factor=100))
    load, task = steady_load(10, 20, workload="agent"), operation(27.05, workload="agent", took_ms=1900)
    wire = [
        row
        for at_ms in range(100, 1300, 200)
        for row in pair(
            task,
            "agent>nats",
            "PUB ref.progress",
            (task.start_ns + at_ms * MS, task.start_ns + (at_ms + took_ms) * MS),
            status=status,
        )
    ]
    evidence = run(what, *load, task, wire=(*trails((*load, task)), *wire))
    assert classes(evidence) == found


def test_an_outbox_goes_on_until_it_succeeds() -> None:
    """Published again and again after the answer: no attempt for the operation; before it, it is one."""
    what = plan(fault(), workloads=("agent",), settings=Settings(retry_factor=100))
    load = steady_load(10, 20, workload="agent")
    for took_ms, found in ((50, []), (1900, ["too-many-attempts"])):
        task = operation(27.05, workload="agent", took_ms=took_ms)
        wire = [
            row
            for at_ms in range(100, 1500, 200)
            for row in pair(
                task,
                "agent>nats",
                "PUB ref.results.{id}",
                (task.start_ns + at_ms * MS, task.start_ns + (at_ms + 150) * MS),
                status="aborted",
                digest="result-1",
            )
        ]
        evidence = run(what, *load, task, wire=(*trails((*load, task)), *wire))
        assert classes(evidence) == found
