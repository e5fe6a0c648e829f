"""Arrival processes of an open-loop load: the next intended start as a function of the last one, never of the answers."""

from __future__ import annotations

import random

from chaos.model.scenario import Arrivals

__all__ = ["ArrivalStream"]

_NS_PER_S = 1_000_000_000


class ArrivalStream:
    """Intended starts of one workload. Exponential gaps (`poisson`) or equal ones (`constant`) of mean `1 / rate_per_s`.

    The stream knows no clock: what the caller does between two starts, and how late, does not move the next one.
    """

    def __init__(self, process: Arrivals, rate_per_s: float, rng: random.Random) -> None:
        if not rate_per_s > 0:
            raise ValueError(f"a rate must be above 0, not {rate_per_s:g}/s")
        self._process = process
        self._rate_per_s = rate_per_s
        self._rng = rng

    def __repr__(self) -> str:
        return f"<ArrivalStream {self._process.value} {self._rate_per_s:g}/s>"

    def after_ns(self, last_ns: int) -> int:
        """The intended start that follows `last_ns`; always at least one nanosecond later."""
        return last_ns + max(1, round(self._gap_s() * _NS_PER_S))

    def _gap_s(self) -> float:
        if self._process is Arrivals.CONSTANT:
            return 1.0 / self._rate_per_s
        return self._rng.expovariate(self._rate_per_s)
