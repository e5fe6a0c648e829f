"""Op ids: a function of run, workload and index, so that whoever finds one in a store knows whose it is, without the driver."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

__all__ = ["PROBE_INDEX", "SEED_WORKLOAD", "op_id", "origin_of"]

PROBE_INDEX = 1_000_000_000
"""Indexes of recovery probes start here: probes never shift the indexes of the scheduled load."""

SEED_WORKLOAD = "seed"
"""Workload name in the op ids of what is stored before the load."""

_SLUG = re.compile(r"[^A-Za-z0-9]+")
_OP_ID = re.compile(r"[A-Za-z0-9-]{1,24}-([0-9]{1,15})-[0-9a-f]{10}")


def op_id(run_id: str, workload: str, index: int) -> str:
    """The id of a workload's n-th operation in a run. Letters, digits and `-` only: it is a NATS subject token and a baggage value."""
    slug = _SLUG.sub("-", workload).strip("-")[:24] or "op"
    digest = hashlib.sha256("\x1f".join((run_id, workload, str(index))).encode()).hexdigest()[:10]
    return f"{slug}-{index}-{digest}"


def origin_of(text: str, run_id: str, workloads: Iterable[str]) -> tuple[str, int] | None:
    """Workload and index of an op id of this run, or None for anything else. Nothing needs to have recorded the operation."""
    match = _OP_ID.fullmatch(text)
    if match is None:
        return None
    index = int(match[1])
    return next(((name, index) for name in workloads if op_id(run_id, name, index) == text), None)
