"""Retrieval: documents go in as chunks with vectors, questions come out as answers with sources."""

from __future__ import annotations

from chaos.reference.rag.app import open_service

__all__ = ["open_service"]
