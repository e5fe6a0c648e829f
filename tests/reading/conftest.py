"""What every reading test needs: the product's words, and the shipped link map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.errors import ScenarioError
from chaos.model.reading import Vocabulary, read_link_map, read_scenario
from chaos.model.scenario import LinkMap, Scenario
from chaos.workloads.kinds import REFERENCE_WORKLOADS

ROOT = Path(__file__).parents[2]
ORACLES = ("bounded", "error-class", "ok-means-ok", "cause-kept", "injected", "healed", "recovers", "steady")

Read = Callable[[str | bytes], Scenario]
Problems = Callable[[str | bytes], tuple[str, ...]]


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """The words of the product, with the one link map that is shipped."""
    return Vocabulary(workloads=REFERENCE_WORKLOADS, oracles=ORACLES, link_maps=("reference",))


@pytest.fixture(scope="session")
def load_links() -> Callable[[str], LinkMap]:
    """Link maps by name from proxies/, or by path relative to tests/data/broken."""

    def load(name: str) -> LinkMap:
        path = ROOT / "tests/data/broken" / name if "/" in name else ROOT / "proxies" / f"{name}.yaml"
        return read_link_map(path.read_bytes(), source=path.name)

    return load


@pytest.fixture(scope="session")
def read(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> Read:
    """Read a scenario called `drill.yaml`."""
    return lambda text: read_scenario(text, source="drill.yaml", vocabulary=vocabulary, load_links=load_links)


@pytest.fixture(scope="session")
def problems(read: Read) -> Problems:
    """The problems of a scenario that must not be readable."""

    def collect(text: str | bytes) -> tuple[str, ...]:
        with pytest.raises(ScenarioError) as caught:
            read(text)
        return caught.value.problems

    return collect
