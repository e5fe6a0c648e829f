"""`chaos-drill run`: run a drill, show it, judge it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_EXAMPLES = """examples:
  chaos-drill run quickstart
  chaos-drill run provider-hanging --defect no-http-timeout
  chaos-drill run drills/mine.yaml --seed 7 --out /tmp/runs
  chaos-drill run smoke --json > verdict.json

A run's folder holds journal.jsonl, verdict.json, junit.xml, summary.md and the
logs of every process.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `run`."""
    parser.epilog = _EXAMPLES
    parser.add_argument("scenario", help="a shipped scenario's name, or the path of a YAML file")
    parser.add_argument(
        "--defect", action="append", default=[], metavar="NAME",
        help="switch on a defect of the reference backend (repeatable; `chaos-drill defects` lists them)",
    )  # fmt: skip
    parser.add_argument(
        "--proxy", default="", metavar="URL|PATH",
        help="use the proxy that runs there (`chaos-drill attach`, a Toxiproxy), or start this toxiproxy-server",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, help="use this seed instead of the scenario's")
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), metavar="DIR", help="where run folders go (default: reports)"
    )
    parser.add_argument("--no-confirm", action="store_true", help="no second runs: what rests on time stays unknown")
    parser.add_argument(
        "--json", action="store_true", help="print verdict.json instead of the table; progress stays on stderr"
    )
    parser.add_argument("--quiet", action="store_true", help="no live progress")


def run(args: argparse.Namespace) -> int:
    """Plan, conduct, show. Returns the run's exit code."""
    from chaos.cli.outlet import exit_with
    from chaos.engine import load_plan, run_drill
    from chaos.errors import JournalError, NotReadyError
    from chaos.reports import live_view, render_console, render_json

    plan = load_plan(args.scenario, defects=args.defect, seed=args.seed, proxy=args.proxy, confirm=not args.no_confirm)
    try:
        with live_view(plan, sys.stderr, quiet=args.quiet) as show:
            outcome = run_drill(plan, out=args.out, listener=show)
    except JournalError as error:
        raise NotReadyError(str(error)) from error  # no place for a record: nothing wrong with what was asked
    with exit_with(outcome.exit_code):
        if args.json:
            print(render_json(outcome.verdict, outcome.evidence))
        else:
            render_console(outcome.verdict, outcome.evidence, folder=outcome.folder, file=sys.stdout)
        for text in (outcome.evidence.end_error, outcome.unwritten):
            if text:
                print(f"chaos-drill: {text}", file=sys.stderr)
        sys.stdout.flush()
    return outcome.exit_code
