"""What must be installed before a drill starts anything, and that it says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chaos.engine import load_plan, run_drill
from chaos.engine.own_system import needed_parts
from chaos.errors import NotReadyError

SYSTEM = """
name: elsewhere
system:
  upstreams: {{web: 127.0.0.1:9}}
  {stores}
{effects}
workloads:
  - kind: {kind}
    to: {to}
    rate: 5/s
    operations: {{put: {{{asks}, writes: true{leaves}}}}}
timeline:
  faults: [{{fault: latency, on: driver>{to}, for: 4s, latency: 20ms}}]
"""
HTTP = {"kind": "http", "to": "web", "asks": "request: POST /x"}
SQL = {"kind": "sql", "to": "postgres", "asks": "query: insert into x values (1)"}
POSTGRES = "postgres: postgres://127.0.0.1:9/x"
READ = {"effects": "effects: {rows: {sql: select id from x}}", "leaves": ", effects: [rows]"}


def written(folder: Path, **parts: str) -> str:
    """A scenario of a system that runs already."""
    path = folder / "own.yaml"
    path.write_text(SYSTEM.format(**{"stores": "", "effects": "", "leaves": "", **parts}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("parts", "needed"),
    [
        (HTTP, set()),
        ({**HTTP, "stores": POSTGRES}, set()),
        ({**HTTP, **READ, "stores": POSTGRES}, {"asyncpg"}),
        ({**SQL, "stores": POSTGRES}, {"asyncpg"}),
    ],
)
def test_who_asks_a_postgres_needs_asyncpg(tmp_path: Path, parts: dict[str, str], needed: set[str]) -> None:
    """For its effects, or with SQL of its own; a store that is only faulted is not asked."""
    assert set(needed_parts(load_plan(written(tmp_path, **parts)))) == needed


def test_the_reference_needs_its_parts() -> None:
    """All of them."""
    assert set(needed_parts(load_plan("smoke"))) == {"postgres", "nats", "reference"}


def test_what_is_missing_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    plan = load_plan(written(tmp_path, **HTTP, **READ, stores=POSTGRES))
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(NotReadyError, match=r"asyncpg: missing(.|\n)*pip install 'chaos-drill\[local\]'"):
        run_drill(plan, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
