"""From a scenario's name to a plan: read, resolve, refuse, derive the cells. Nothing is started."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from chaos.engine.defects import DEFECTS
from chaos.engine.files import find_link_map, find_scenario
from chaos.errors import UsageError
from chaos.model.effect import Ledger
from chaos.model.plain_routes import plain_operations
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.reading import Vocabulary, read_link_map, read_scenario
from chaos.model.scenario import LinkMap, Scenario, WorkloadSpec
from chaos.model.workload import OperationKind, WorkloadKind
from chaos.oracles import ORACLES, derive
from chaos.workloads.kinds import REFERENCE_WORKLOADS
from chaos.workloads.reference_effects import reference_ledger

__all__ = ["load_plan", "read_map", "vocabulary"]

_KINDS: dict[str, WorkloadKind] = {kind.name: kind for kind in REFERENCE_WORKLOADS}
_MAX_BYTES = 1_000_000


def vocabulary() -> Vocabulary:
    """The names a scenario may use."""
    return Vocabulary(
        workloads=REFERENCE_WORKLOADS,
        oracles=tuple(oracle.name for oracle in ORACLES),
        systems=("reference",),
        environment=os.environ,
    )


def load_plan(
    target: str, *, defects: Sequence[str] = (), seed: int | None = None, proxy: str = "", confirm: bool = True
) -> Plan:
    """The plan of a shipped scenario's name or of a file; without `confirm`, one that makes no second runs.

    Raises UsageError (with `file:line:column` for what is wrong in a file) and starts nothing.
    """
    path = find_scenario(target)
    scenario = read_scenario(
        _read(path), source=str(path), vocabulary=vocabulary(), load_links=lambda name: _links(name, path)
    )
    if seed is not None:
        scenario = msgspec.structs.replace(scenario, seed=seed)
    if not confirm:
        scenario = msgspec.structs.replace(scenario, expect=msgspec.structs.replace(scenario.expect, confirm=0))
    return derive(
        Plan(
            scenario=scenario,
            workloads=_workloads(scenario),
            defects=_known(defects, scenario),
            proxy=_proxy_url(proxy),
            ledger=_ledger(scenario),
        )
    )


def _proxy_url(text: str) -> str:
    """The URL of a proxy that runs already, as it is written or without its scheme, or the path of a toxiproxy-server; empty for none."""
    if (text and ("/" in text or "\\" in text) and "://" not in text) or Path(text or "-").is_file():
        return _program(text)
    url = text if not text or "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        good = not url or (parts.scheme == "http" and parts.hostname and parts.port and parts.path in {"", "/"})
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"{text!r} is no address of a proxy's API; write one such as http://127.0.0.1:8474")
    return url.rstrip("/")


def _program(text: str) -> str:
    """The path of a program that is to be started. Raises UsageError."""
    path = shutil.which(text)
    if path is None:
        raise UsageError(
            f"--proxy {text}: there is no such program; give a toxiproxy-server, or the URL of a proxy that runs"
        )
    return str(Path(path).resolve())


def _ledger(scenario: Scenario) -> Ledger:
    """What the system declares of its effects."""
    return reference_ledger() if scenario.own is None else scenario.effects


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def read_map(path: Path) -> LinkMap:
    """The link map of a file. Raises ScenarioError, or UsageError for one that cannot be read."""
    return read_link_map(_read(path), source=str(path))


def _links(name: str, beside: Path) -> LinkMap:
    return read_map(find_link_map(name, beside=beside))


def _workloads(scenario: Scenario) -> tuple[WorkloadPlan, ...]:
    return tuple(WorkloadPlan(spec=spec, operations=_operations(spec, scenario.links)) for spec in scenario.workloads)


def _operations(spec: WorkloadSpec, link_map: LinkMap) -> tuple[OperationKind, ...]:
    """The kind's operations with the scenario's weights and deadlines, or those that stand in the scenario."""
    if spec.plain is not None:
        return plain_operations(spec, link_map)
    kind = _KINDS[spec.kind]
    chosen = spec.operations or {one.name: one.weight for one in kind.operations}
    return tuple(
        msgspec.structs.replace(
            kind.operation(name), weight=weight, deadline_ms=_deadline_ms(spec, kind.operation(name))
        )
        for name, weight in chosen.items()
    )


def _deadline_ms(spec: WorkloadSpec, operation: OperationKind) -> float:
    own = spec.completion_ms if operation.asynchronous else spec.deadline_ms
    return operation.deadline_ms if own is None else own


def _known(defects: Sequence[str], scenario: Scenario) -> tuple[str, ...]:
    names = [one.name for one in DEFECTS]
    for name in defects:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"there is no defect {name!r}: {hint}`chaos-drill defects` lists them")
    if defects and scenario.own is not None:
        raise UsageError(
            f"--defect {defects[0]}: defects are of the reference backend, and {scenario.name} drills a system of your own"
        )
    return tuple(dict.fromkeys(defects))
