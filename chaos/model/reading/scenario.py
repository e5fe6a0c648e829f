"""Reading a scenario: text in, typed data out, every problem of the file told at once with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

from chaos.errors import ScenarioError, UsageError
from chaos.model.effect import Ledger
from chaos.model.plain import BUDGET_HEADER
from chaos.model.reading.abort_format import read_aborts
from chaos.model.reading.compose import compose
from chaos.model.reading.effects_format import check_effects, read_ledger
from chaos.model.reading.faults import read_faults
from chaos.model.reading.groups import Fields
from chaos.model.reading.hidden import check_hidden
from chaos.model.reading.host_checks import check_hosts
from chaos.model.reading.load import check_baseline, check_routes, read_workloads
from chaos.model.reading.problems import Report, known, quote
from chaos.model.reading.scenario_format import scenario_format
from chaos.model.reading.shape import At
from chaos.model.reading.system import OWN, check_callees, derive_links, read_system
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import (
    Baseline,
    Expectations,
    LinkMap,
    Recovery,
    RetryCaps,
    Scenario,
    Timeline,
    WorkloadSpec,
)
from chaos.model.settings import PhaseLimits, Settings
from chaos.model.system import SystemModel

__all__ = ["read_scenario"]

_REFERENCE_KINDS = frozenset({"agent", "rag", "gateway"})


def read_scenario(
    text: str | bytes, *, source: str, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]
) -> Scenario:
    """The scenario of a file, links resolved against its map.

    `load_links` gets what the file says under `links` (a name, or a path relative to the file) and returns the map; it may raise
    ScenarioError (a broken map), or OSError, LookupError or UsageError (no such map). Raises ScenarioError with every problem located.
    """
    root, report = compose(text, source)
    fields = scenario_format(vocabulary).read(root, report)
    assert fields is not None
    records = fields.get("workloads", ())
    own = _own(fields, source, report)
    if own is not None and "links" not in fields:
        link_map: LinkMap | None = _derived(own, fields, vocabulary, report)
    else:
        link_map = _links(fields, vocabulary, load_links, report)
        if own is not None and link_map is not None:
            check_callees(own, fields, link_map, report)
    budget_header = (fields["budget_header"] or None) if "budget_header" in fields else BUDGET_HEADER
    workloads = read_workloads(records, budget_header, vocabulary, report)
    if link_map is not None:
        if own is None or not _drives_the_reference(records, report):
            check_routes(records, link_map, vocabulary, report)
        check_hosts(own, link_map, fields, vocabulary.environment, report)
        if not link_map.links:
            if not report:
                report.add(fields.place_of("system"), "no link follows from this system", "say what its services call")
            link_map = None  # the faults' links cannot be looked up
    timeline = _timeline(fields.get("timeline"), link_map, vocabulary, workloads, report)
    _check_reach(fields, workloads, timeline, report)
    _check_operations(fields, vocabulary, report)
    effects = _effects(own, fields, records, report)
    expect = _expect(fields.get("expect"), report)
    report.raise_any()
    assert link_map is not None
    scenario = Scenario(
        name=fields["name"],
        about=fields.get("about", ""),
        system=_system(fields),
        own=own,
        effects=effects,
        links=link_map,
        workloads=workloads,
        timeline=timeline,
        expect=expect,
        seed=fields.get("seed", 0),
        allow_hosts=_values(fields.get("allow_hosts", ())),
        budget_header=budget_header,
        source=source,
        sha256=hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest(),
    )
    check_hidden(scenario, fields, vocabulary, report)
    report.raise_any()
    return scenario


def _values(items: Sequence[At[Any]]) -> tuple[Any, ...]:
    return tuple(one.value for one in items)


def _system(fields: Fields) -> str:
    written = fields.get("system", "reference")
    return written if isinstance(written, str) else OWN


def _own(fields: Fields, source: str, report: Report) -> SystemModel | None:
    written = fields.get("system")
    return read_system(written, str(PurePath(source).parent), report) if isinstance(written, Fields) else None


def _effects(own: SystemModel | None, fields: Fields, records: Sequence[At[Fields]], report: Report) -> Ledger:
    """What a system of the user's own declares of its effects, held against what its operations name."""
    if own is None:
        for key in ("effects", "unfinished", "streams"):
            if key in fields:
                report.add(fields.place_of(key), "the reference backend declares its own effects", f"leave {key} out")
        return Ledger()
    ledger = read_ledger(fields, report)
    operations = [one.value for record in records for _, one in (record.value.get("operations") or {}).values()]
    used = [
        (each.value, each.place) for one in operations if isinstance(one, Fields) for each in one.get("effects", ())
    ]
    check_effects(ledger, own, fields, used, report)
    return ledger


def _drives_the_reference(records: Sequence[At[Fields]], report: Report) -> bool:
    """Workloads that know the reference backend's own routes have no business with another system."""
    found = [one.value for one in records if one.value.get("kind") in _REFERENCE_KINDS]
    for one in found:
        what = f"{one['kind']} drives the reference backend"
        report.add(one.place_of("kind"), what, "a system of your own is driven by http, nats, sql or tcp")
    return bool(found)


def _derived(own: SystemModel, fields: Fields, vocabulary: Vocabulary, report: Report) -> LinkMap:
    """The links that follow from what services call and workloads talk to."""
    doors = [one.value.get("to") for one in fields.get("workloads", ())]
    return derive_links(own, fields["system"], [door for door in doors if door], vocabulary.environment, report)


def _links(
    fields: Fields, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap], report: Report
) -> LinkMap | None:
    wanted = fields.get("links", _system(fields))
    try:
        return load_links(wanted)
    except ScenarioError as error:
        report.add(fields.place_of("links"), f"the link map {quote(wanted)} is not valid", "see its own problems below")
        report.add_foreign(error.problems)
    except (OSError, LookupError, UsageError, ValueError) as error:
        report.add(
            fields.place_of("links"), f"there is no link map {quote(wanted)}", _instead(wanted, vocabulary, error)
        )
    return None


def _instead(wanted: str, vocabulary: Vocabulary, error: Exception) -> str:
    """The nearest map, or what the loader says."""
    if vocabulary.link_maps:
        return known(wanted, vocabulary.link_maps)
    said = str(error).partition("; ")[2] if isinstance(error, UsageError) else ""
    return said or "name a map in proxies/, or a path relative to this file"


def _timeline(
    fields: Fields | None,
    link_map: LinkMap | None,
    vocabulary: Vocabulary,
    workloads: Sequence[WorkloadSpec],
    report: Report,
) -> Timeline:
    if fields is None:
        return Timeline(faults=())
    faults = read_faults(fields.get("faults", ()), link_map, vocabulary, report)
    return Timeline(
        faults=faults,
        baseline=_baseline(fields.get("baseline")),
        recovery=_recovery(fields.get("recovery")),
        abort=read_aborts(fields.get("abort", ()), workloads, report),
    )


def _baseline(fields: Fields | None) -> Baseline:
    names = {"window": "window_ms", "within": "within_ms"}
    return Baseline(**_renamed(fields, names))


def _recovery(fields: Fields | None) -> Recovery:
    return Recovery(**_renamed(fields, {"within": "within_ms"}))


def _renamed(fields: Fields | None, names: dict[str, str]) -> dict[str, Any]:
    """Values by the model's field names, which carry the unit."""
    return {names.get(key, key): value for key, value in fields.values.items()} if fields else {}


def _check_reach(fields: Fields, workloads: Sequence[Any], timeline: Timeline, report: Report) -> None:
    written: Fields | None = fields.get("timeline")
    if written is not None:
        check_baseline(timeline.baseline, written.get("baseline") or written, workloads, report)


def _check_operations(fields: Fields, vocabulary: Vocabulary, report: Report) -> None:
    """What is declared for an operation that no workload of this file starts would be silently without effect."""
    expect: Fields | None = fields.get("expect")
    kinds = [vocabulary.workload(one.value.get("kind", "")) for one in fields.get("workloads", ())]
    used = {one.name for kind in kinds if kind for one in kind.operations} | {
        name for one in fields.get("workloads", ()) for name in one.value.get("operations") or ()
    }
    declared = [expect.get(key) or {} for key in ("statuses", "retries")] if expect else []
    for name, (key, _) in [entry for one in declared for entry in one.items()]:
        if name not in used:
            report.add(key.place, f"no workload of this scenario has the operation {name}", known(name, sorted(used)))


def _expect(fields: Fields | None, report: Report) -> Expectations:
    if fields is None:
        return Expectations()
    oracles = fields.get("oracles")
    for index, one in enumerate(oracles or ()):
        if one.value in _values(oracles[:index]):
            report.add(one.place, f"the oracle {one.value} stands twice", "name it once")
    return Expectations(
        oracles=None if oracles is None else _values(oracles),
        settings=_settings(fields.get("settings")),
        statuses={name: _values(value.value) for name, (_, value) in fields.get("statuses", {}).items()},
        retries={name: RetryCaps(**caps.value.values) for name, (_, caps) in fields.get("retries", {}).items()},
        phases=_phases(fields.get("phases")),
        confirm=fields.get("confirm"),
    )


def _settings(fields: Fields | None) -> Settings:
    names = {name.removesuffix("_ms"): name for name in Settings.__struct_fields__}
    return Settings(**_renamed(fields, names))


def _phases(fields: Fields | None) -> dict[str, PhaseLimits]:
    names = {"p50": "p50_ms", "p99": "p99_ms", "min_rate": "min_rate_per_s"}
    return {
        phase: PhaseLimits(**_renamed(limits, names)) for phase, limits in (fields.values if fields else {}).items()
    }
