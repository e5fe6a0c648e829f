"""The conductor of a drill and what it is made of. `conductor.py` holds the life of a run."""

from __future__ import annotations

from chaos.engine.attaching import attached_links, proxy_config, refuse_taken, written_config
from chaos.engine.defects import DEFECTS, Defect
from chaos.engine.drill import Outcome, run_drill
from chaos.engine.files import shipped_scenarios
from chaos.engine.init import Begun, begin_drill
from chaos.engine.planning import load_plan, vocabulary
from chaos.engine.recovering import recover

__all__ = [
    "DEFECTS", "Begun", "Defect", "Outcome", "attached_links", "begin_drill", "load_plan", "proxy_config", "recover", "refuse_taken", "run_drill",
    "shipped_scenarios", "vocabulary", "written_config",
]  # fmt: skip
