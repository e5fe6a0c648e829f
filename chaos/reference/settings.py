"""Settings of one service, read from the environment once at start."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from chaos.reference.defects import Defects

__all__ = ["SERVICES", "Settings", "SettingsError"]

SERVICES = ("provider", "gateway", "rag", "agent", "api")

_NAMESPACE = re.compile(r"[a-z][a-z0-9_]{0,30}")


class SettingsError(Exception):
    """A variable of the environment is missing or malformed; the text names the variable and never its value."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a service needs to know; empty strings stand for variables that are not set."""

    service: str
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    agent_url: str = ""
    rag_url: str = ""
    gateway_url: str = ""
    provider_url: str = ""
    postgres_dsn: str = ""
    nats_url: str = ""
    provider_api_key: str = ""
    digest_key: str = ""
    namespace: str = "ref"
    defects: Defects = Defects()
    otlp_endpoint: str = ""
    call_timeout_ms: int = 1500
    db_timeout_ms: int = 1000
    nats_timeout_ms: int = 1500

    @classmethod
    def from_environment(cls, service: str, environment: Mapping[str, str]) -> Settings:
        """Read and check; raises SettingsError."""
        namespace = environment.get("NAMESPACE", "ref")
        if not _NAMESPACE.fullmatch(namespace):
            raise SettingsError("NAMESPACE must be a lower-case word of at most 31 letters, digits and underscores")
        return cls(
            service=service,
            listen_host=environment.get("LISTEN_HOST", "127.0.0.1"),
            listen_port=_integer(environment, "LISTEN_PORT", 0),
            agent_url=environment.get("AGENT_URL", ""),
            rag_url=environment.get("RAG_URL", ""),
            gateway_url=environment.get("GATEWAY_URL", ""),
            provider_url=environment.get("PROVIDER_URL", ""),
            postgres_dsn=environment.get("POSTGRES_DSN", ""),
            nats_url=environment.get("NATS_URL", ""),
            provider_api_key=environment.get("PROVIDER_API_KEY", ""),
            digest_key=environment.get("DIGEST_KEY", ""),
            namespace=namespace,
            defects=_defects(environment.get("CHAOS_DEFECTS", "")).of(service),
            otlp_endpoint=environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
            call_timeout_ms=_integer(environment, "CALL_TIMEOUT_MS", 1500),
            db_timeout_ms=_integer(environment, "DB_TIMEOUT_MS", 1000),
            nats_timeout_ms=_integer(environment, "NATS_TIMEOUT_MS", 1500),
        )

    def need(self, *names: str) -> None:
        """Raise SettingsError unless all the named fields are set."""
        missing = [name.upper() for name in names if not getattr(self, name)]
        if missing:
            raise SettingsError(f"{self.service} needs {', '.join(missing)} in its environment")


def _integer(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal():
        raise SettingsError(f"{name} must be a whole number")
    return int(text)


def _defects(text: str) -> Defects:
    try:
        return Defects.parse(text)
    except ValueError as error:
        raise SettingsError(f"CHAOS_DEFECTS: {error}") from error
