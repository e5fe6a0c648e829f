"""The part of the reference page about plain workloads, made from their schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chaos.model.plain import PLAIN_KINDS

__all__ = ["plain_section"]

Schema = dict[str, Any]
Table = Callable[[dict[str, Schema], set[str]], str]

_HEAD = """#### Workloads for any system

Kinds whose operations stand in the scenario, for systems that need no code of ours: [workloads](workloads.md) shows each of them.
They take the keys above (`completion` on `nats` only), and

"""


def plain_section(variants: Schema, table: Table) -> Iterator[str]:
    """Keys of plain workloads, of their operations and of what these expect. `table` makes one of properties and required keys."""
    by_kind = {one["properties"]["kind"]["enum"][0]: one for one in variants["oneOf"]}
    first = by_kind[PLAIN_KINDS[0]]["properties"]
    yield _HEAD + table({key: first[key] for key in ("to", "operations", "budget_header")}, {"to", "operations"})
    operations = {kind: by_kind[kind]["properties"]["operations"]["additionalProperties"] for kind in PLAIN_KINDS}
    shared = set.intersection(*(set(one["properties"]) for one in operations.values()))
    http = operations[PLAIN_KINDS[0]]["properties"]
    yield "Keys of every operation:\n\n" + table({key: http[key] for key in http if key in shared}, set())
    for kind, one in operations.items():
        own = {key: field for key, field in one["properties"].items() if key not in shared}
        yield f"**`{kind}`**: {by_kind[kind]['description']}. An operation has\n\n" + table(
            own, set(one.get("required", ()))
        )
        if "expect" in own:
            yield "and under `expect`\n\n" + table(own["expect"]["properties"], set())
        if "script" in own:
            yield "and a step of its script is one of\n\n" + table(own["script"]["items"]["properties"], set())
