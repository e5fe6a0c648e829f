"""`chaos-drill schema`: the JSON Schema of scenario files, for editors."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`schema` has no arguments of its own."""
    parser.epilog = "example:\n  chaos-drill schema > scenario.schema.json\n"


def run(args: argparse.Namespace) -> int:  # noqa: ARG001  # every command has the same shape
    """Print the schema (draft 2020-12)."""
    from chaos.engine import vocabulary
    from chaos.model.reading import json_schema

    print(json.dumps(json_schema(vocabulary()), indent=2))
    return 0
