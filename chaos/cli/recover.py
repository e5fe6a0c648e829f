"""`chaos-drill recover`: prove that nothing of earlier runs is left, and remove what is."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `recover`."""
    parser.epilog = (
        "example:\n  chaos-drill recover\n\n"
        "Touches only what leases and owner files of earlier runs name; runs that are\nalive are left alone.\n"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what is left, remove nothing")


def run(args: argparse.Namespace) -> int:
    """Look at every lease and scratch folder of a dead run. Returns 0 when nothing is left, 6 when something remains."""
    from chaos.engine import recover

    lines, clean = recover(dry_run=args.dry_run)
    for line in lines:
        print(line)
    return 0 if clean else 6
