"""The words a scenario may use: what the installed product knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.model.fault import FAULT_KINDS, FaultKind
from chaos.model.workload import WorkloadKind

__all__ = ["Vocabulary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Workload kinds with their operations, names of oracles, systems and (for hints) link maps, the fault kinds, and the environment's variables."""

    workloads: tuple[WorkloadKind, ...]
    oracles: tuple[str, ...]
    systems: tuple[str, ...] = ("reference",)
    link_maps: tuple[str, ...] = ()
    faults: Mapping[str, FaultKind] = field(default_factory=lambda: FAULT_KINDS)
    environment: Mapping[str, str] = field(default_factory=dict)

    def workload(self, name: str) -> WorkloadKind | None:
        """The workload kind of that name, or None."""
        return next((kind for kind in self.workloads if kind.name == name), None)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations of all kinds, each once."""
        return tuple(dict.fromkeys(one.name for kind in self.workloads for one in kind.operations))
