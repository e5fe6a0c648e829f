"""The reference of scenario files as a Markdown page, made from the JSON Schemas, so that it cannot fall behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chaos.errors import ScenarioError
from chaos.model.reading.groups import inline
from chaos.model.reading.limits import (
    MAX_AT_ONCE,
    MAX_BYTES,
    MAX_FAULT_MS,
    MAX_RATE_PER_S,
    MAX_TIMELINE_MS,
)
from chaos.model.reading.page_own import effects_section, system_section
from chaos.model.reading.page_plain import plain_section
from chaos.model.reading.scenario import read_scenario
from chaos.model.reading.schema import json_schema, link_map_schema
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import LinkMap

__all__ = ["scenario_page"]

Schema = dict[str, Any]
_DEFAULT = re.compile(r" Default: (.*)\.$")

_INTRODUCTION = """# Scenario files

A scenario is one drill: a system, its load, faults on its links, and what is expected. It is YAML 1.2 and pure data.
`chaos-drill validate FILE` checks it without starting anything, `chaos-drill plan FILE` shows what would run and be judged.

This page is generated from the schema (`python docs/generate_scenarios.py`). For help while typing, save the schema with
`chaos-drill schema > scenario.schema.json` and begin the file with `# yaml-language-server: $schema=scenario.schema.json`.

## A whole one

```yaml
{example}```
"""

_VALUES = f"""## How values are written

| value | written | remarks |
|---|---|---|
| duration | `500us` `250ms` `1.5s` `2m` | always with a unit; a bare `0` is fine |
| rate | `4/s` `90/m` | operations started, whatever the answers do |
| size | `100B` `64KB` `1MB` | 1 KB is 1000 bytes |
| bytes per second | `100KB/s` `1MB/s` | a whole number of KB/s; `0` stalls |
| share | `0.1%` or `0.001` | |
| link | `rag>postgres` | caller first |
| pattern | `any>postgres` `rag>any` `any` | `any` stands for every caller or callee; a bare `*` would be a YAML alias, so quote it: `"*>postgres"` |
| name | `slow-postgres` | letters, digits, dots and dashes, at most 64 |

`on`, `no`, `yes` and `1:30` are plain text here, as YAML 1.2 has it. A key may stand once. Tags and merge keys are refused.

Limits: a timeline of {MAX_TIMELINE_MS / 60_000:g} minutes, {MAX_AT_ONCE} faults at once and {MAX_FAULT_MS / 3_600_000:g} hours of fault in
all (each link counts), {MAX_RATE_PER_S:g} operations/s, files of {MAX_BYTES // 1_000_000} MB. A fault may not overlap another of its kind on
the same link and stream. Link maps may lead beyond this machine only to hosts named in `allow_hosts`.
"""

_WRONG = """name: drill
workloads:
  - {kind: rag, rate: 4}
timeline:
  faults:
    - {fault: latency, on: rag>postgrs, for: 4s, latncy: 300ms}
    - {fault: refuse, on: *>nats, for: 4s}
"""


def scenario_page(vocabulary: Vocabulary, example: str, link_map: LinkMap, link_map_text: str) -> str:
    """The page. `example` is a whole scenario, `link_map` the map it uses, `link_map_text` that map as written."""
    schema = json_schema(vocabulary)
    parts = [
        _INTRODUCTION.format(example=example),
        _VALUES,
        _messages(vocabulary, link_map),
        "## The file\n",
        _section(schema),
        *system_section(schema["properties"]["system"], _plain_table),
        *_workloads(schema["properties"]["workloads"]["items"], vocabulary),
        *effects_section(schema["properties"]["effects"], _plain_table),
        *_timeline(schema["properties"]["timeline"]),
        *_expect(schema["properties"]["expect"], vocabulary),
        *_links(link_map_text),
    ]
    return "\n".join(parts)


def _messages(vocabulary: Vocabulary, link_map: LinkMap) -> str:
    """A wrong file and what the reader really says."""
    said = [*_problems(_WRONG, vocabulary, link_map), *_problems(_WRONG.replace("*>", "any>"), vocabulary, link_map)]
    text = "\n".join(said)
    return (
        f"## When something is wrong\n\n```yaml\n{_WRONG}```\n\nSyntax errors come first, then everything else at once:\n\n"
        f"```\n{text}\n```\n\nNothing is started, and the exit code is 2.\n"
    )


def _problems(text: str, vocabulary: Vocabulary, link_map: LinkMap) -> tuple[str, ...]:
    try:
        read_scenario(text, source="drill.yaml", vocabulary=vocabulary, load_links=lambda _: link_map)
    except ScenarioError as error:
        return error.problems
    raise AssertionError("the example of a wrong file is right")


def _workloads(variants: Schema, vocabulary: Vocabulary) -> Iterator[str]:
    yield "### `workloads`\n\nA list; all run at once, through the whole drill.\n"
    yield _shared(variants)
    yield from plain_section(variants, _plain_table)
    yield "#### Workloads of the reference system\n"
    for kind in vocabulary.workloads:
        yield f"**`{kind.name}`**: {kind.about}.\n\n| operation | weight | deadline | leaves | links it may use |\n|---|---|---|---|---|"
        for one in kind.operations:
            deadline = f"{one.deadline_ms / 1000:g}s" + (" to completion" if one.asynchronous else "")
            links = " ".join(f"`{link}`" for link in one.route)
            yield f"| `{one.name}`: {one.about} | {one.weight} | {deadline} | {', '.join(one.effects) or '-'} | {links} |"
        yield ""


def _timeline(schema: Schema) -> Iterator[str]:
    yield "### `timeline`\n"
    yield _section(schema)
    for name in ("baseline", "recovery"):
        yield f"#### `timeline.{name}`\n"
        yield _section(schema["properties"][name])
    yield _ABORT
    yield _shared(schema["properties"]["abort"]["items"])
    variants = schema["properties"]["faults"]["items"]
    yield _FAULTS
    yield _shared(variants)
    yield "Keys of each kind:\n\n| fault | does | keys |\n|---|---|---|"
    for one in variants["oneOf"]:
        kind = one["properties"]["fault"]["enum"][0]
        yield f"| `{kind}` | {one['description']} | {'<br>'.join(_own_keys(one, variants)) or 'none'} |"
    yield ""


_ABORT = """#### `timeline.abort`

A list of conditions, looked at every second from the baseline on. When one is met everything is healed at once, what there is is judged, and
the exit code is 4 (1 if something is violated). Metrics are `error_rate`, `p99` and `late_starts`; the bound of `p99` is a duration.
"""

_FAULTS = """#### `timeline.faults`

A list. Keys of all faults (`refuse`, `hang`, `reset` and `accept_close` act on whole connections and take no `stream`; `operation`, `count`
and `per` are for faults that can pick messages; `phase` belongs to those that act on single messages: [message faults](toxics.md#message-faults)):
"""


def _own_keys(one: Schema, variants: Schema) -> Iterator[str]:
    shared = _common(variants)
    for key, field in one["properties"].items():
        if key not in shared:
            about, default = _about(field)
            needed = "required" if key in one["required"] else f"default {default}"
            yield f"`{key}: {inline(field['examples'][0])}` {_lower(about)} ({needed})"


def _expect(schema: Schema, vocabulary: Vocabulary) -> Iterator[str]:
    yield "### `expect`\n"
    yield _section(schema)
    yield f"Oracles: {', '.join(f'`{name}`' for name in vocabulary.oracles)}. What each asserts stands in [verdicts](verdicts.md).\n"
    yield "#### `expect.settings`\n"
    yield _section(schema["properties"]["settings"])
    phases = schema["properties"]["phases"]
    yield f"#### `expect.phases`\n\nLimits for {', '.join(f'`{name}`' for name in phases['properties'])}; each phase may have:\n"
    yield _section(phases["properties"]["baseline"], about=False)


def _links(text: str) -> Iterator[str]:
    edges = link_map_schema()["properties"]["links"]["additionalProperties"]
    yield "## Link maps\n\nA link map, in `proxies/` or beside the scenario, says which edges of a system go through the fault proxy.\n"
    yield f"```yaml\n{text}```\n\nKeys of a link:\n"
    yield _section(edges, about=False)


def _common(variants: Schema) -> dict[str, Schema]:
    """Keys that mean the same in every variant that has them, and are not one variant's own."""
    found: dict[str, list[Schema]] = {}
    for one in variants["oneOf"]:
        for key, field in one["properties"].items():
            found.setdefault(key, []).append(field)
    return {
        key: all_[0] for key, all_ in found.items() if len(all_) > 1 and len({one["description"] for one in all_}) == 1
    }


def _shared(variants: Schema) -> str:
    required = set.intersection(*(set(one["required"]) for one in variants["oneOf"]))
    own = {key for one in variants["oneOf"] for key in one["properties"] if key not in _common(variants)}
    first = {key: field for one in reversed(variants["oneOf"]) for key, field in one["properties"].items()}
    rows = _common(variants)
    if variants["oneOf"][0]["properties"].get("kind"):
        rows = {key: first[key] for key in variants["oneOf"][0]["properties"] if key in rows or key in own}
    return _table(
        rows, required, {"operations": "all of the kind, by the weights below", "deadline": "that of the operation"}
    )


def _section(schema: Schema, *, about: bool = True) -> str:
    head = (
        f"{schema['description'].partition(' Default: ')[0].rstrip('.')}.\n\n"
        if about and "description" in schema
        else ""
    )
    return head + _table(schema["properties"], set(schema.get("required", ())), {})


def _plain_table(properties: dict[str, Schema], required: set[str]) -> str:
    return _table(properties, required, {})


def _table(properties: dict[str, Schema], required: set[str], defaults: dict[str, str]) -> str:
    rows = ["| key | meaning | default |", "|---|---|---|"]
    for key, field in properties.items():
        about, default = _about(field)
        default = "**required**" if key in required else defaults.get(key, default) or "-"
        rows.append(f"| `{key}: {inline(field['examples'][0])}` | {about} | {default} |")
    return "\n".join(rows) + "\n"


def _about(field: Schema) -> tuple[str, str]:
    """A description without its default, and the default."""
    match = _DEFAULT.search(field["description"])
    about = field["description"][: match.start()] if match else field["description"]
    return about.rstrip("."), match[1] if match else ""


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
