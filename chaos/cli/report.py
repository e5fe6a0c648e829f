"""`chaos-drill report`: judge and render a stored run again, from its journal alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `report`."""
    parser.epilog = (
        "examples:\n  chaos-drill report latest\n  chaos-drill report reports/20260101T120000-smoke-1a2b --json\n"
    )
    parser.add_argument("run", help="a run's folder, the beginning of its name, or `latest`")
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), metavar="DIR", help="where run folders are (default: reports)"
    )
    parser.add_argument("--json", action="store_true", help="print verdict.json instead of the table")


def run(args: argparse.Namespace) -> int:
    """Re-judge, write verdict.json, junit.xml and summary.md anew, show. Returns the run's exit code."""
    from chaos.journal import find_run, read_evidence
    from chaos.oracles import judge
    from chaos.reports import render_console, render_json, write_all

    folder = find_run(args.run, args.out)
    evidence = read_evidence(folder)
    verdict = judge(evidence)
    write_all(folder, verdict, evidence)
    if args.json:
        print(render_json(verdict, evidence))
    else:
        render_console(verdict, evidence, folder=folder, file=sys.stdout)
    return verdict.exit_code
