"""What can be done to a connection and its proxy's toxics, where the outcome in bytes is certain."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "LONG_MS", "SIDES", "Action", "Add", "Attributes", "Close", "Remove", "Send", "Update"]

#: The stream that a side sends into.
SIDES = {"client": "upstream", "server": "downstream"}
LONG_MS = 100_000

Attributes = dict[str, int]
#: Each type with attributes of which the outcome in bytes is certain.
KINDS: dict[str, list[Attributes]] = {
    "noop": [{}],
    "latency": [{"latency": 0}, {"latency": 3}, {"latency": LONG_MS}],
    "slicer": [{"average_size": 500, "size_variation": 200}, {"average_size": 64, "size_variation": 0}],
    "limit_data": [{"bytes": size} for size in (0, 1, 9, 10, 300, 311, 4000)],
    "bandwidth": [{"rate": 1_000_000}, {"rate": 0}],
    "timeout": [{"timeout": 0}],
    "slow_close": [{"delay": 3}, {"delay": LONG_MS}],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Send:
    """That side sends so many bytes."""

    side: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Close:
    """That side ends: `half` is a FIN, `rst` an RST."""

    side: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Add:
    """A toxic at the end of the chain."""

    stream: str
    type: str
    attributes: Attributes
    toxicity: int


@dataclass(frozen=True, kw_only=True)
class Update:
    """The `number`th toxic there is gets the `choice`th attributes of its type and a toxicity; None leaves either."""

    number: int
    choice: int | None
    toxicity: int | None


@dataclass(frozen=True, kw_only=True)
class Remove:
    """The `number`th toxic there is goes."""

    number: int


Action = Send | Close | Add | Update | Remove
