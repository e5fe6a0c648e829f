"""Workload kinds as data: which operations there are, which links they may use, what they write."""

from __future__ import annotations

from chaos.model.base import Data

__all__ = ["OperationKind", "WorkloadKind"]


class OperationKind(Data, frozen=True, kw_only=True):
    """One operation of a workload. `route` holds every link it may use, the driver's own first.

    `writes`: it leaves an effect. `asynchronous`: a PubAck or 202 is `accepted`, a completion message is the answer, and
    `deadline_ms` counts to the completion. `weight` is its share among the workload's operations.
    `effects` are the names of what it leaves when it is applied, all of them together; of an asynchronous one, `completion` names the
    effect that is its answer and therefore stands at every end, at an error's too.
    """

    name: str
    route: tuple[str, ...]
    about: str = ""
    writes: bool = False
    asynchronous: bool = False
    streams: bool = False
    deadline_ms: float = 2000.0
    weight: int = 1
    effects: tuple[str, ...] = ()
    completion: str | None = None


class WorkloadKind(Data, frozen=True, kw_only=True):
    """A kind of workload: named operations over one system."""

    name: str
    about: str
    operations: tuple[OperationKind, ...]

    def operation(self, name: str) -> OperationKind:
        """The operation of that name. Raises KeyError."""
        for one in self.operations:
            if one.name == name:
                return one
        raise KeyError(name)
