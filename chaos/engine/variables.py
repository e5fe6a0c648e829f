"""The environment's variables that the texts of plain workloads ask for: the driver gets these, and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping

from chaos.errors import NotReadyError
from chaos.model.plan import Plan

__all__ = ["plain_environment"]


def plain_environment(plan: Plan, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Values by name, from our own environment unless another is given. Raises NotReadyError for one that is not set."""
    found = os.environ if environment is None else environment
    names = [name for one in plan.workloads if one.spec.plain is not None for name in one.spec.plain.variables]
    missing = [name for name in names if name not in found]
    if missing:
        raise NotReadyError(f"the variable {missing[0]} is not set, which an operation asks for: export it")
    return {name: found[name] for name in names}
