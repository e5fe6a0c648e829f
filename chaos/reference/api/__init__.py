"""The front of the backend: checks requests and passes them to agent and rag."""

from __future__ import annotations

from chaos.reference.api.app import open_service

__all__ = ["open_service"]
