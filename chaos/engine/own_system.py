"""What a system of the user's own asks of a run before anything is started: parts to be installed, secrets to be kept."""

from __future__ import annotations

from collections.abc import Collection

from chaos.engine.variables import plain_environment
from chaos.model.plan import Plan
from chaos.system.own import OwnWiring, local_stores
from chaos.system.wiring import Credentials

__all__ = ["needed_parts", "plan_secrets"]


def needed_parts(plan: Plan) -> Collection[str]:
    """What must be installed: `postgres`, `nats`, `reference`, and `asyncpg` where we ask a Postgres ourselves."""
    own = plan.scenario.own
    if own is None:
        return ("postgres", "nats", "reference")
    audited = plan.leaves_effects and "postgres" in own.stores
    asks = audited or any(one.spec.kind == "sql" for one in plan.workloads)
    return local_stores(own) | ({"asyncpg"} if asks else frozenset())


def plan_secrets(plan: Plan) -> frozenset[str]:
    """What the plan says, or takes from the environment, and no file of the run may hold. Raises NotReadyError for a variable not set."""
    own, asked = plan.scenario.own, frozenset(plain_environment(plan).values())
    return asked if own is None else asked | frozenset(OwnWiring(model=own, credentials=Credentials()).secrets())
