"""Durations and rates as people write them: `250ms`, `1.5s`, `2m`, `20/s`, `90/m`."""

from __future__ import annotations

import re

__all__ = ["format_ms", "parse_duration_ms", "parse_rate_per_s"]

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")


def parse_duration_ms(text: str) -> float:
    """Milliseconds of a duration such as `250ms` or `1.5s`. Raises ValueError for anything else, bare numbers too."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number with a unit: 250ms, 2s, 1m")
    return float(match[1]) * _UNITS_MS[match[2]]


def parse_rate_per_s(text: str) -> float:
    """Operations per second of a rate such as `5/s` or `90/m`. Raises ValueError for anything else."""
    match = _RATE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is not a rate; write a positive number per unit of time: 5/s, 90/m")
    return float(match[1]) * 1000.0 / _UNITS_MS[match[2]]


def format_ms(ms: float) -> str:
    """The shortest way a person would write it: `250ms`, `1.5s`, `2m`."""
    for unit, size in (("h", 3_600_000.0), ("m", 60_000.0), ("s", 1000.0)):
        if ms >= size and round(ms / size, 1) * size == ms:
            return f"{ms / size:g}{unit}"
    if ms >= 10_000:
        return f"{ms / 1000:.1f}s"
    if ms >= 1000:
        return f"{ms / 1000:.2f}s"
    return f"{ms:.0f}ms" if ms >= 10 or ms == int(ms) else f"{ms:.2g}ms"
