"""The named defects this backend can be started with (`CHAOS_DEFECTS=name,name`); none by default.

Each one is a single `if defects.on("name")` with the correct and the defective path side by side.
"""

from __future__ import annotations

import msgspec

__all__ = ["DEFECTS", "Defect", "Defects"]


class Defect(msgspec.Struct, frozen=True, kw_only=True):
    """One defect: its switch, the class of mistake it stands for, and what a caller would see."""

    name: str
    kind: str
    services: tuple[str, ...]
    summary: str


DEFECTS = (
    Defect(
        name="no-http-timeout",
        kind="no timeout on HTTP",
        services=("gateway", "rag", "agent", "api"),
        summary="HTTP calls wait without a timeout and do not pass the budget on: a hanging provider hangs everyone",
    ),
    Defect(
        name="swallowed-error",
        kind="swallowed error",
        services=("rag",),
        summary="a failed search or model call becomes a 200 with a canned answer and no sources",
    ),
    Defect(
        name="generic-500",
        kind="generic 500",
        services=("api",),
        summary="every failure of a dependency becomes 500 'internal error' that names nobody",
    ),
    Defect(
        name="wrong-blame",
        kind="wrong blame",
        services=("api",),
        summary="a failure of a dependency becomes 422 and blames the caller's request",
    ),
    Defect(
        name="consumer-dead-after-reconnect",
        kind="consumer dead after reconnect",
        services=("agent",),
        summary="the consumer of the task queue ends with the first lost connection and nobody starts it again",
    ),
    Defect(
        name="duplicate-effect-on-retry",
        kind="duplicate effect on retry",
        services=("rag",),
        summary="a document whose COMMIT got no reply is written again under another key: stored and announced twice",
    ),
)

_NAMES = frozenset(defect.name for defect in DEFECTS)


class Defects(msgspec.Struct, frozen=True):
    """The defects that are switched on in this process."""

    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Defects:
        """Read a comma-separated list; raises ValueError with the known names for one that does not exist."""
        names = frozenset(name.strip() for name in text.split(",") if name.strip())
        if unknown := names - _NAMES:
            raise ValueError(f"no defect called {', '.join(sorted(unknown))}; known: {', '.join(sorted(_NAMES))}")
        return cls(names)

    def of(self, service: str) -> Defects:
        """Those that are defects of this service: in the others the code they share stays correct."""
        return Defects(frozenset(one.name for one in DEFECTS if one.name in self.names and service in one.services))

    def on(self, name: str) -> bool:
        """Whether the defect is switched on; a name that does not exist is a mistake in this code."""
        if name not in _NAMES:
            raise ValueError(f"no defect called {name}")
        return name in self.names
