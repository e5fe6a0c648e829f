"""`chaos-drill defects`: what can be broken in the reference backend, and which drill finds it."""

from __future__ import annotations

import argparse
import json
import textwrap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `defects`."""
    parser.epilog = "example:\n  chaos-drill defects --json\n"
    parser.add_argument("--json", action="store_true", help="one JSON array: name, class, about, scenario, oracles")


def run(args: argparse.Namespace) -> int:
    """List the defects."""
    from chaos.engine import DEFECTS

    if args.json:
        rows = [
            {
                "name": one.name,
                "class": one.error_class,
                "about": one.about,
                "scenario": one.scenario,
                "oracles": one.oracles,
            }
            for one in DEFECTS
        ]
        print(json.dumps(rows, indent=2))
        return 0
    for one in DEFECTS:
        print(f"{one.name}  ({one.error_class})")
        print(textwrap.fill(one.about, width=76, initial_indent="    ", subsequent_indent="    "))
        print(f"    chaos-drill run {one.scenario} --defect {one.name}")
        print(f"    found by: {', '.join(one.oracles)}\n")
    return 0
