"""`chaos-drill plan`: a dry run. What would happen when, on which links, and what would be judged."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `plan`."""
    parser.epilog = "examples:\n  chaos-drill plan quickstart\n  chaos-drill plan drills/mine.yaml --json\n"
    parser.add_argument("scenario", help="a shipped scenario's name, or the path of a YAML file")
    parser.add_argument("--seed", type=int, help="use this seed instead of the scenario's")
    parser.add_argument("--json", action="store_true", help="the whole plan as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the plan; nothing is started."""
    from chaos.engine import load_plan
    from chaos.reports import render_plan

    plan = load_plan(args.scenario, seed=args.seed)
    if args.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(plan)).decode())
    else:
        render_plan(plan, file=sys.stdout)
    return 0
