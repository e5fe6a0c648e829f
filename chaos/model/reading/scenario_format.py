"""The form of a scenario file."""

from __future__ import annotations

from collections.abc import Callable

from chaos.model.reading.abort_format import abort_field
from chaos.model.reading.effects_format import effects_fields
from chaos.model.reading.expect_format import expect_format
from chaos.model.reading.fault_format import fault_format
from chaos.model.reading.groups import Field, ListOf, Record
from chaos.model.reading.limits import MAX_FAULTS, MAX_WORKLOADS
from chaos.model.reading.measured import Duration
from chaos.model.reading.plain import Name, Text, Whole
from chaos.model.reading.plain_format import budget_header
from chaos.model.reading.system_format import system_format
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.reading.workload_format import workload_format

__all__ = ["scenario_format"]

_MINUTE_MS = 60_000.0


def scenario_format(vocabulary: Vocabulary) -> Record:
    """The root record."""
    fields = {
        "name": Field(Name(), "The drill's name, used in reports and run folders", "quickstart", required=True),
        "about": Field(Text(), "What this drill shows, in one line", "Slow Postgres under RAG and agents"),
        "system": Field(
            system_format(vocabulary),
            "What is drilled: a shipped system's name, or services and stores of your own",
            "reference",
            default="reference",
        ),
        "links": Field(
            Text(wanted="the name of a link map", example="reference", longest=1000, shortest=1),
            "The link map: a name in proxies/, or a path relative to this file",
            "reference",
            default="the system's own map, or what its calls come to",
        ),
        "seed": Field(
            Whole(least=0, most=2**63 - 1, example=7), "Seed of arrivals, jitter and toxicity", 7, default="0"
        ),
        "workloads": Field(
            ListOf(workload_format(vocabulary), "workload", MAX_WORKLOADS),
            "The load, all at once, through the whole drill",
            [{"kind": "rag", "rate": "4/s"}],
            required=True,
        ),
        "timeline": Field(_timeline(vocabulary), "Baseline, faults, recovery", {"faults": ["..."]}, required=True),
        **effects_fields(),
        "expect": Field(
            expect_format(vocabulary), "What is judged, and how", {"oracles": list(vocabulary.oracles)[:2]}
        ),
        "allow_hosts": Field(
            ListOf(Text(wanted="a host name", example="db.staging.example", longest=253, shortest=1), "host", 64, 0),
            "Hosts beyond this machine that the link map may name",
            ["db.staging.example"],
            default="none: loopback only",
        ),
        "budget_header": budget_header(),
    }
    moved = {"faults": "write faults: under timeline:", "baseline": "write baseline: under timeline:"}
    moved |= {"recovery": "write recovery: under timeline:", "oracles": "write oracles: under expect:"}
    return Record(
        "scenario", fields, about="A drill: a system, its load, faults on its links, and what is expected", moved=moved
    )


def _timeline(vocabulary: Vocabulary) -> Record:
    fields = {
        "baseline": Field(_baseline(), "When the system counts as steady", {"window": "5s"}),
        "faults": Field(
            ListOf(fault_format(vocabulary), "fault", MAX_FAULTS),
            "What is done to the links; faults may overlap",
            [{"fault": "latency", "on": "rag>postgres", "for": "4s", "latency": "300ms"}],
            required=True,
        ),
        "recovery": Field(_recovery(), "Probes after healing", {"within": "10s", "probes": 5}),
        "abort": abort_field(),
    }
    return Record("timeline", fields, about="Faults on one clock, which starts when the baseline is steady")


def _baseline() -> Record:
    count: Callable[[int], Whole] = lambda example: Whole(least=1, most=1_000_000, example=example)  # noqa: E731
    fields = {
        "window": Field(
            Duration(least_ms=2000, most_ms=30_000, example="5s"),
            "Length of a window; two alike in a row are steady",
            "5s",
            default="5s",
        ),
        "min_operations": Field(
            count(100), "Answers that each window must hold, all workloads together", 100, default="100"
        ),
        "min_per_workload": Field(count(10), "Answers that each window must hold of each workload", 10, default="10"),
        "within": Field(
            Duration(least_ms=4000, most_ms=10 * _MINUTE_MS, example="60s"),
            "Not steady by then: the run is unknown",
            "60s",
            default="60s",
        ),
    }
    return Record("baseline", fields, about="Steady state: two windows in a row, answers ok, medians alike")


def _recovery() -> Record:
    fields = {
        "within": Field(
            Duration(least_ms=1000, most_ms=10 * _MINUTE_MS, example="10s"),
            "Time after healing for the probes to pass",
            "10s",
            default="10s",
        ),
        "probes": Field(
            Whole(least=1, most=100, example=5),
            "Probes in a row that must be right and quick, per workload",
            5,
            default="5",
        ),
    }
    return Record("recovery", fields, about="After healing, probes show whether every workload is back")
