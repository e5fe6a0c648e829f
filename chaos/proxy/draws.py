"""Random decisions that are the same for the same seed, link and connection number, in whatever order they are made."""

from __future__ import annotations

from random import Random

__all__ = ["draw_toxicity", "stage_rng"]


def draw_toxicity(seed: int, link: str, connection: int, toxic: str) -> float:
    """Uniform in [0, 1): a toxic takes hold of the connection when this is below its toxicity."""
    return Random(f"toxicity/{seed}/{link}/{connection}/{toxic}").random()


def stage_rng(seed: int, link: str, connection: int, toxic: str, direction: str) -> Random:
    """The generator of one stage: jitter and sizes."""
    return Random(f"stage/{seed}/{link}/{connection}/{toxic}/{direction}")
