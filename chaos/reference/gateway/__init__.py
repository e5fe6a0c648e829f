"""The one door to the models, over HTTP and as a request queue on NATS."""

from __future__ import annotations

from chaos.reference.gateway.app import open_service

__all__ = ["open_service"]
