"""How much a scenario may ask for. A file beyond these is more likely a slip of the pen than a drill."""

from __future__ import annotations

__all__ = [
    "MAX_ANCHORS",
    "MAX_AT_ONCE",
    "MAX_BOUND",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_FAULTS",
    "MAX_FAULT_MS",
    "MAX_NODES",
    "MAX_PROBLEMS",
    "MAX_RATE_PER_S",
    "MAX_TIMELINE_MS",
    "MAX_WORKLOADS",
]

# The file: what a parser may be made to chew on.
MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_ANCHORS = 8
MAX_NODES = 20_000  # after aliases are expanded, so that nested aliases cannot multiply
MAX_PROBLEMS = 50

# The drill.
MAX_WORKLOADS = 32
MAX_RATE_PER_S = 1000.0  # over all workloads
MAX_BOUND = 10_000
MAX_FAULTS = 64
MAX_AT_ONCE = 32  # active pairs of fault and link
MAX_TIMELINE_MS = 30 * 60_000.0
MAX_FAULT_MS = 2 * 3_600_000.0  # summed over pairs of fault and link
