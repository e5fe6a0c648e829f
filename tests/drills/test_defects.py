"""Every defect of the reference backend is found in the scenario listed for it, by the oracles listed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.engine import DEFECTS, Defect
from chaos.reference import defects as switchable
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]


def first_of_each_oracle() -> tuple[Defect, ...]:
    """One defect for each oracle that any of them trips; docs/defects.json holds runs of all."""
    found: dict[str, Defect] = {}
    for defect in DEFECTS:
        for oracle in defect.oracles:
            found.setdefault(oracle, defect)
    return tuple({one.name: one for one in found.values()}.values())


@pytest.mark.parametrize("defect", first_of_each_oracle(), ids=lambda one: one.name)
def test_defect_is_found(defect: Defect, tmp_path: Path) -> None:
    """Exit 1, and each listed oracle says VIOLATED with a finding that names operation, link and fault where there is one."""
    found(defect, tmp_path)


@pytest.mark.repeat
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name)
def test_defect_is_found_three_times_of_three(defect: Defect, tmp_path: Path) -> None:
    """Finding a defect is no matter of luck."""
    for attempt in range(3):
        found(defect, tmp_path / str(attempt))


def found(defect: Defect, out: Path) -> None:
    """Run the defect's drill and check what was found."""
    result = run_drill(defect.scenario, "--defect", defect.name, out=out)
    assert result.code == 1, result.explain()
    assert result.violated() >= set(defect.oracles), result.explain()
    for finding in result.verdict["findings"]:
        assert finding["cause"]
        assert finding["where"]


def test_the_tools_list_is_the_backends_list() -> None:
    """What the tool offers is what the backend can switch on, no more, no less."""
    assert {one.name for one in DEFECTS} == {one.name for one in switchable.DEFECTS}
