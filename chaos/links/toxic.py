"""A toxic as a caller asks for it: on from now until it is ended, unless it says otherwise."""

from __future__ import annotations

from typing import Any

from chaos.model.base import Data

__all__ = ["Toxic"]


class Toxic(Data, frozen=True, kw_only=True):
    """`type` and `attributes` are those of docs/proxy.md; `name` empty means `<type>_<stream>`.

    What stands below `name` only a proxy of ours can do: `seed` of its draws, `at_ns` (the proxy's clock) when it begins, `for_ms`
    how long it lasts, `ramp_ms` how long its attributes take to grow; `count`, `per` and `match` pick messages, `phase` is the moment
    at which a message fault acts, `answer` what an `error` says.
    """

    type: str
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = {}
    name: str = ""
    seed: int | None = None
    at_ns: int | None = None
    for_ms: float | None = None
    ramp_ms: float | None = None
    count: dict[str, int] | None = None
    per: str | None = None
    match: str | None = None
    phase: str | None = None
    answer: str | None = None

    @property
    def full_name(self) -> str:
        """Its name, given or not."""
        return self.name or f"{self.type}_{self.stream}"

    def standard(self) -> dict[str, Any]:
        """The members that Toxiproxy knows."""
        return {
            "name": self.full_name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
            "attributes": self.attributes,
        }

    def extensions(self) -> dict[str, Any]:
        """The members given that Toxiproxy does not know."""
        names = ("seed", "at_ns", "for_ms", "ramp_ms", "count", "per", "match", "phase", "answer")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
