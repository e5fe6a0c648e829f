"""Small text helpers: counts with their noun, lists, and lines cut to length."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["clip", "counted", "listed"]


def counted(number: int, noun: str) -> str:
    """`1 probe`, `3 probes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(texts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = [*texts] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def clip(text: str, limit: int = 80) -> str:
    """One line of at most `limit` characters: text of the system under test has any length."""
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 3] + "..."
