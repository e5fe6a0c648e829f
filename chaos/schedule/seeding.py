"""Seeded streams of randomness: one for each purpose, so that drawing from one never shifts another."""

from __future__ import annotations

import random

__all__ = ["stream_rng"]


def stream_rng(seed: int, *purpose: str) -> random.Random:
    """A generator that is a function of the seed and its purpose only, the same in every process and on every night.

    >>> stream_rng(7, "rag", "arrivals").random() == stream_rng(7, "rag", "arrivals").random()
    True
    """
    # A string seed is hashed with SHA-512 by the standard library: no PYTHONHASHSEED in it.
    return random.Random("\x1f".join((str(seed), *purpose)))
