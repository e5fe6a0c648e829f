"""Chaos and resilience drills for agent, RAG and LLM-gateway backends, judged by evidence."""

__version__ = "0.1.0"
__all__ = ["__version__"]
