"""Who has used the time of the request in hand, so that running out of it is blamed on the right dependency.

An operation that waited 900 ms for Postgres and then finds 50 ms too few for the model has a slow Postgres, not a slow
model. What a callee spent below itself comes back in its `Server-Timing` header (W3C), so that every hop knows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from chaos.reference.problems import Problem

__all__ = ["SERVER_TIMING", "add", "add_below", "counted", "server_timing", "waiting_for"]

SERVER_TIMING = "server-timing"

_METRIC = re.compile(r"([a-z]+);dur=(\d+(?:\.\d+)?)")

_spent_ms: ContextVar[dict[str, float] | None] = ContextVar("spent_ms", default=None)


@contextmanager
def counted() -> Iterator[None]:
    """Count from zero for the length of a block: one request, one queued message."""
    token = _spent_ms.set({})
    try:
        yield
    finally:
        _spent_ms.reset(token)


@contextmanager
def waiting_for(dependency: str) -> Iterator[None]:
    """Count the time of a block for a dependency; a timeout that leaves it names whoever has used the most."""
    began_s = time.monotonic()
    try:
        yield
    except Problem as problem:
        named = problem.details.dependency or dependency
        add(named, (time.monotonic() - began_s) * 1000)
        if problem.details.status != 504 or (most := _most()) in (None, named):
            raise
        detail = f"{most} had used most of the time before: {problem.details.detail}"
        raise Problem(msgspec.structs.replace(problem.details, dependency=most, detail=detail)) from problem
    add(dependency, (time.monotonic() - began_s) * 1000)


def add(dependency: str, spent_ms: float) -> None:
    """Count time for a dependency."""
    counts = _spent_ms.get()
    if counts is not None:
        counts[dependency] = counts.get(dependency, 0.0) + spent_ms


def add_below(callee: str, header: str) -> None:
    """Count what a callee says it waited itself for what is below it, and not for the callee."""
    for name, spent_ms in _METRIC.findall(header):
        add(name, float(spent_ms))
        add(callee, -float(spent_ms))


def server_timing() -> str:
    """The counts so far as a header's value; empty when nothing was waited for."""
    counts = _spent_ms.get() or {}
    return ", ".join(f"{name};dur={spent_ms:.1f}" for name, spent_ms in counts.items() if spent_ms > 0)


def _most() -> str | None:
    counts = _spent_ms.get()
    return max(counts, key=lambda name: counts[name]) if counts else None
