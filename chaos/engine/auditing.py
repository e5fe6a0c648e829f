"""The audit of a run: where the ledger reaches its stores, and how long it may take."""

from __future__ import annotations

from chaos.errors import NotReadyError
from chaos.ledger import HURRIED, Access, Audit, Limits, Marks, audit, mark_streams
from chaos.model.plan import Plan
from chaos.system.local import LocalSystem
from chaos.system.postgres import ROLE

__all__ = ["audit_stores", "mark_stores"]


async def mark_stores(plan: Plan, system: LocalSystem) -> Marks:
    """What the stores held before the load, as far as the audit has to know. Never raises for a store."""
    return await mark_streams(plan.ledger, _access(system), Limits()) if plan.leaves_effects else {}


async def audit_stores(plan: Plan, system: LocalSystem, marks: Marks, *, hurried: bool) -> Audit:
    """Wait until the stores are at rest and read back the effects; `hurried` for a run that was ended early. Never raises for a store."""
    limits = HURRIED if hurried else Limits(quiet_s=plan.scenario.expect.settings.quiet_ms / 1000)
    return await audit(plan.ledger, _access(system), limits, marks)


def _access(system: LocalSystem) -> Access:
    """Straight to the servers. As the superuser, who sees every session; effects are read with no more rights than the services have."""
    try:
        postgres = f"{system.postgres.admin_dsn.reveal()}?sslmode=disable"
    except NotReadyError:
        postgres = system.direct("postgres")
    try:
        nats = system.nats.url.reveal()
    except NotReadyError:
        nats = system.direct("nats")
    role = "" if system.direct("postgres") else ROLE
    return Access(postgres_dsn=postgres, postgres_role=role, nats_url=nats)
