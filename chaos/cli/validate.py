"""`chaos-drill validate`: check scenario files; nothing is started."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `validate`."""
    parser.epilog = "example:\n  chaos-drill validate scenarios/*.yaml\n"
    parser.add_argument("scenario", nargs="+", help="shipped names or paths of YAML files")


def run(args: argparse.Namespace) -> int:
    """Check every file, tell every problem with its place. Returns 0, or 2 when one file is invalid."""
    from chaos.engine import load_plan
    from chaos.errors import UsageError
    from chaos.reports.text import count_of

    code = 0
    for target in args.scenario:
        try:
            plan = load_plan(target)
        except UsageError as error:
            print(error, file=sys.stderr)
            code = 2
        else:
            faults, cells = count_of(len(plan.faults), "fault"), count_of(len(plan.cells), "cell")
            print(f"{plan.scenario.source}: valid ({faults}, {cells} to judge)")
    return code
