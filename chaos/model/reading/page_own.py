"""The part of the reference page about systems of one's own, and what operations leave in their stores, made from the schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["effects_section", "system_section"]

Schema = dict[str, Any]
Table = Callable[[dict[str, Schema], set[str]], str]

_SYSTEM = """### `system`

The word `reference`, or a mapping that describes [a system of your own](own-system.md):

"""

_HOLES = """In `command` and `env` are filled in: `{port}` and `{host}` of the service itself, `{python}` (the interpreter that runs the drill),
`{callee.url}` and likewise `host`, `port`, `user`, `password`, `database` of what it calls, by way of its link, and `${NAME}` of the
environment, whose value stands in no file of the run. What was filled in is not looked at again. No shell runs.

In the URL of a store, `${NAME}` in the place of user, password, path or a parameter's value is taken as it is, whatever characters it has; it is
percent-encoded for whoever gets the URL. A variable that says the whole URL (`postgres: ${DATABASE_URL}`) has to be encoded already.
"""

_EFFECTS = """### `effects`

What operations leave in the stores, by name; operations say under `effects` which they leave. Each is read from one place: `sql`, or
`stream` (with `op_id` and `subjects`).

"""


def system_section(system: Schema, table: Table) -> Iterator[str]:
    """Keys of a system, of a service and of its readiness, of an upstream."""
    own = _record(system)
    yield _SYSTEM + table(own["properties"], set())
    service = own["properties"]["services"]["additionalProperties"]
    yield "Keys of a service:\n\n" + table(service["properties"], set(service.get("required", ())))
    yield _HOLES
    yield "`ready` as a mapping:\n\n" + table(_record(service["properties"]["ready"])["properties"], set())
    calls = _record(service["properties"]["calls"]["additionalProperties"])
    yield "A callee under `calls` as a mapping, where one variable is not enough:\n\n" + table(
        calls["properties"], set()
    )
    upstream = _record(own["properties"]["upstreams"]["additionalProperties"])
    yield "An upstream as a mapping:\n\n" + table(upstream["properties"], set(upstream.get("required", ())))


def effects_section(effects: Schema, table: Table) -> Iterator[str]:
    """Keys of an effect."""
    yield _EFFECTS + table(effects["additionalProperties"]["properties"], set())


def _record(either: Schema) -> Schema:
    """The mapping among the forms that a value may have."""
    found: Schema = next(one for one in either["anyOf"] if "properties" in one)
    return found
