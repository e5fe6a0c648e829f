"""`chaos-drill doctor`: what this machine has and lacks, and the command that mends it."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `doctor`."""
    parser.epilog = "example:\n  chaos-drill doctor\n"
    parser.add_argument("--json", action="store_true", help="one JSON array: name, ok, required, found, mend")


def run(args: argparse.Namespace) -> int:
    """Run every check. Returns 0 when a drill can run here, 5 otherwise."""
    from chaos.system import examine

    checks = examine()
    if args.json:
        import msgspec

        print(json.dumps([msgspec.to_builtins(check) for check in checks], indent=2))
    else:
        for check in checks:
            sign = "ok  " if check.ok else ("MISS" if check.required else "note")
            print(f"{sign}  {check.name}: {check.found}")
            if not check.ok and check.mend:
                print(f"      mend: {check.mend}")
    return 0 if all(check.ok or not check.required for check in checks) else 5
