"""The reference system as data: its services, which variable receives which link, who may know which credential."""

from __future__ import annotations

import sys

from chaos.system.services import HttpReady, ServiceSpec

__all__ = ["DRIVER_LINKS", "REFERENCE_LINKS", "REFERENCE_SERVICES"]

_READY = HttpReady(path="/healthz")
# Spans leave within a tenth of a second; names are those of the current semantic conventions.
_ENV = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database", "PYTHONUNBUFFERED": "1"}

DRIVER_LINKS = ("driver>api", "driver>gateway", "driver>nats")
"""What the driver opens itself."""


def _service(name: str, calls: dict[str, str], *credentials: str) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        argv=(sys.executable, "-P", "-m", "chaos.reference", name),
        calls={f"{name}>{callee}": variable for callee, variable in calls.items()},
        credentials=credentials,
        env={**_ENV, "OTEL_SERVICE_NAME": name},
        ready=_READY,
    )


REFERENCE_SERVICES = (
    _service("provider", {}, "PROVIDER_API_KEY", "DIGEST_KEY"),
    _service("gateway", {"provider": "PROVIDER_URL", "nats": "NATS_URL"}, "PROVIDER_API_KEY"),
    _service("rag", {"gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"}),
    _service(
        "agent",
        {"rag": "RAG_URL", "gateway": "GATEWAY_URL", "postgres": "POSTGRES_DSN", "nats": "NATS_URL"},
    ),
    _service("api", {"agent": "AGENT_URL", "rag": "RAG_URL"}),
)
"""The five services, callees before their callers."""

REFERENCE_LINKS = (*DRIVER_LINKS, *(link for service in REFERENCE_SERVICES for link in service.calls))
"""Every edge of the reference system."""
