"""JSON Schemas (draft 2020-12) of the files people write, for editors and for the generated reference."""

from __future__ import annotations

from typing import Any

from chaos.model.reading.link_map import link_map_format
from chaos.model.reading.scenario_format import scenario_format
from chaos.model.reading.vocabulary import Vocabulary

__all__ = ["json_schema", "link_map_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """The schema of a scenario file. Durations' bounds and everything between keys are checked by the reader only."""
    return {"$schema": _DIALECT, "title": "chaos-drill scenario", **scenario_format(vocabulary).schema()}


def link_map_schema() -> dict[str, Any]:
    """The schema of a link map in proxies/."""
    return {"$schema": _DIALECT, "title": "chaos-drill link map", **link_map_format().schema()}
