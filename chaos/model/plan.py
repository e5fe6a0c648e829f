"""A plan: a scenario resolved against a system, with the cells that will be judged and those that will not."""

from __future__ import annotations

from chaos.model.base import Data
from chaos.model.effect import Ledger
from chaos.model.fault import FaultSpec
from chaos.model.link import Link
from chaos.model.scenario import Scenario, WorkloadSpec
from chaos.model.verdict import Cell, NotJudged
from chaos.model.workload import OperationKind

__all__ = ["Plan", "WorkloadPlan"]


class WorkloadPlan(Data, frozen=True, kw_only=True):
    """A workload with its operations: name, route, deadline and weight resolved."""

    spec: WorkloadSpec
    operations: tuple[OperationKind, ...]

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.spec.name

    @property
    def route(self) -> frozenset[str]:
        """Union of its operations' routes."""
        return frozenset(link for one in self.operations for link in one.route)


class Plan(Data, frozen=True, kw_only=True):
    """What a run will do and judge. `defects` are those switched on in the reference backend, for the record.

    `ledger` holds the effects that the system declares.
    """

    scenario: Scenario
    workloads: tuple[WorkloadPlan, ...]
    cells: tuple[Cell, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
    defects: tuple[str, ...] = ()
    proxy: str = ""
    ledger: Ledger = Ledger()

    @property
    def links(self) -> tuple[Link, ...]:
        """All links of the scenario's map."""
        return self.scenario.links.links

    @property
    def faults(self) -> tuple[FaultSpec, ...]:
        """All faults of the timeline."""
        return self.scenario.timeline.faults

    @property
    def leaves_effects(self) -> bool:
        """Whether any operation leaves effects that are declared, so that reading them back shows something."""
        return any(operation.effects for workload in self.workloads for operation in workload.operations)

    def link(self, name: str) -> Link:
        """The link of that name. Raises KeyError."""
        for one in self.links:
            if one.name == name:
                return one
        raise KeyError(name)

    def fault(self, name: str) -> FaultSpec:
        """The fault of that name. Raises KeyError."""
        for one in self.faults:
            if one.name == name:
                return one
        raise KeyError(name)

    def workload(self, name: str) -> WorkloadPlan:
        """The workload of that name. Raises KeyError."""
        for one in self.workloads:
            if one.name == name:
                return one
        raise KeyError(name)
