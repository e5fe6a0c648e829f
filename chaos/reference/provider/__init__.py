"""The stand-in for the vendor of language models: OpenAI-compatible, deterministic, and able to prove what it read."""

from __future__ import annotations

from chaos.reference.provider.app import open_service

__all__ = ["open_service"]
