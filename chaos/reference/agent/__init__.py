"""The agent: lets the model choose tools, calls them, and remembers; tasks come over HTTP and from a queue."""

from __future__ import annotations

from chaos.reference.agent.app import open_service

__all__ = ["open_service"]
