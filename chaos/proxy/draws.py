"""Random decisions that are the same for the same seed, link and connection number (or message), in whatever order they are made."""

from __future__ import annotations

from math import log, log1p
from random import Random

__all__ = ["MILLION", "draw_gap", "draw_message", "draw_toxicity", "stage_rng"]

MILLION = 1_000_000


def draw_toxicity(seed: int, link: str, connection: int, toxic: str, redraws: int = 0) -> float:
    """Uniform in [0, 1): a toxic takes hold of the connection when this is below its toxicity."""
    again = f"/{redraws}" if redraws else ""
    return Random(f"toxicity/{seed}/{link}/{connection}/{toxic}{again}").random()


def draw_message(seed: int, link: str, signature: str, occurrence: int, toxic: str) -> float:
    """Uniform in [0, 1): a message fault takes that one of the link's messages of that kind when this is below its toxicity."""
    return Random(f"message/{seed}/{link}/{signature}/{occurrence}/{toxic}").random()


def stage_rng(seed: int, link: str, connection: int, toxic: str, direction: str) -> Random:
    """The generator of one stage: jitter and sizes."""
    return Random(f"stage/{seed}/{link}/{connection}/{toxic}/{direction}")


def draw_gap(rng: Random, per_million: int) -> int | None:
    """How many pass before the next that is hit, when each is with that chance; None for ever.

    The distribution has no memory: when the chance changes, another draw takes the place of the old one.
    """
    if not 0 < per_million < MILLION:
        return 0 if per_million >= MILLION else None
    return int(log(1 - rng.random()) / log1p(-per_million / MILLION))
