"""Write docs/scenarios.md from the schema, the shipped quickstart and the shipped link map: python docs/generate_scenarios.py."""  # noqa: INP001

from __future__ import annotations

from pathlib import Path

from chaos.engine import vocabulary
from chaos.model.reading import read_link_map
from chaos.model.reading.page import scenario_page

ROOT = Path(__file__).parents[1]


def page() -> str:
    """The page as it should be."""
    example = (ROOT / "scenarios/quickstart.yaml").read_text(encoding="utf-8")
    edges = (ROOT / "proxies/reference.yaml").read_text(encoding="utf-8")
    return scenario_page(vocabulary(), example, read_link_map(edges, source="reference.yaml"), edges)


if __name__ == "__main__":
    (ROOT / "docs/scenarios.md").write_text(page(), encoding="utf-8")
