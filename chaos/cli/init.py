"""`chaos-drill init`: a scenario and a link map for the system at hand, from what can be found out without asking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chaos.engine.init_hints import Hints

_EXAMPLES = """examples:
  chaos-drill init                    drill.yaml and links.yaml in this folder
  chaos-drill init drills/shop.yaml   this file, and drills/shop-links.yaml

Looked at: a compose file, the names (never the values) in .env, and the ports
that are listened on at loopback. Nothing is connected to or started. Without
any of them the drill starts a service of yours. What is written is commented
and valid at once.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `init`."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "target", nargs="?", type=Path, default=Path(), metavar="DIR|FILE", help="where to write (default: this folder)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there already")


def run(args: argparse.Namespace) -> int:
    """Write, and say what was found and what comes next."""
    from chaos.engine import begin_drill, load_plan

    begun = begin_drill(args.target, force=args.force)
    load_plan(str(begun.scenario))  # valid at once, or this says why not
    for note in begun.hints.notes:
        print(f"note   {note}")
    print(f"found  {'; '.join(_found(begun.hints)) or 'nothing: the drill starts a service of yours'}")
    print(f"wrote  {begun.scenario}" + (f", {begun.links}" if begun.links else ""))
    print(f"next   read {begun.scenario} and change what it marks, then: chaos-drill plan {begun.scenario}")
    if begun.links:
        print(f"       chaos-drill attach {begun.links}")
    return 0


def _found(hints: Hints) -> Iterator[str]:
    """What was found, in words; names from files are shown without what moves a cursor."""
    from chaos.engine.init_sketch import KNOWN_PORTS
    from chaos.reports.text import shorten

    if hints.services:
        yield f"{hints.compose} ({shorten(', '.join(one.name for one in hints.services), 200)})"
    if hints.variables:
        count = len(hints.variables)
        yield f".env ({count} {'name' if count == 1 else 'names'}, no values)"
    if known := sorted(hints.ports & KNOWN_PORTS):
        yield f"listened on at loopback: {', '.join(map(str, known))}"
