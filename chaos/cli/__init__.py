"""The command line: one file per command, imported only when it is the one asked for, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from chaos import __version__
from chaos.cli.outlet import ignore_signals, open_outlets, output_failure
from chaos.errors import ChaosError, HealError, NotReadyError, ScenarioError

__all__ = ["main"]

_COMMANDS = {
    "run": "run a drill and judge it",
    "init": "begin a drill of your own system: a scenario and a link map, commented",
    "plan": "dry run: what a scenario would do and judge",
    "validate": "check scenario files without running anything",
    "schema": "print the JSON Schema of scenario files",
    "attach": "keep the fault proxy up, with fixed listeners, for a system that runs already",
    "report": "re-judge and re-render a stored run",
    "defects": "list the defects the reference backend can be given",
    "doctor": "check what this machine has and lacks",
    "recover": "prove that nothing of earlier runs is left, remove what is",
    "proxy": "run the fault proxy alone (flags of toxiproxy-server); `proxy top` looks at one",
}

_EPILOG = """examples:
  chaos-drill plan quickstart
      what would happen, without doing it
  chaos-drill run quickstart
      drill the reference backend: about two minutes on an idle machine
  chaos-drill run smoke --defect swallowed-error
      the same backend with a bug: exit 1
  chaos-drill run my/drill.yaml --out /tmp/runs
      your own scenario, results elsewhere
  chaos-drill report latest
      judge the last run again

exit codes:
  0 all hold     2 usage      4 aborted      6 a fault may remain
  1 violated     3 unknown    5 not ready    130/143 interrupted (after healing)
"""


class _Command(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (`chaos.model.exit_code`). Never a traceback for bad input."""
    open_outlets()
    code = _main(list(sys.argv[1:] if argv is None else argv))
    if (error := output_failure()) is not None:
        print(f"chaos-drill: the output could not be written: {error}", file=sys.stderr)
        code = code or 5
    if argv is None:
        ignore_signals()
    return code


def _main(words: list[str]) -> int:
    name = next((word for word in words if not word.startswith("-")), None)
    try:
        if words and words[0] == "proxy":
            from chaos.cli.proxy import main as proxy

            return proxy(words[1:])
        parser = _parser()
        if name not in _COMMANDS:
            if name and words[0] == name and (near := _nearest(name)):
                print(f"chaos-drill: there is no command {name!r}: did you mean {near}?", file=sys.stderr)
                return 2
            parser.parse_args(words)
            parser.print_help()
            return 0 if not words else 2
        command = cast("_Command", importlib.import_module(f"chaos.cli.{name}"))
        return _run(command, parser, words, name)
    except KeyboardInterrupt:
        return 130


def _nearest(name: str) -> str:
    import difflib  # only for a typo

    return next(iter(difflib.get_close_matches(name, _COMMANDS, n=1)), "")


def _run(command: _Command, parser: argparse.ArgumentParser, words: list[str], name: str) -> int:
    command.add_arguments(cast("argparse.ArgumentParser", parser.get_default("choices")[name]))
    args = parser.parse_args(words)
    try:
        return command.run(args)
    except ChaosError as error:
        # A located problem stands alone on its line, so that editors and terminals can jump to it.
        print(error if isinstance(error, ScenarioError) else f"chaos-drill: {error}", file=sys.stderr)
        return _code(error)


def _code(error: ChaosError) -> int:
    if isinstance(error, HealError):
        return 6
    return 5 if isinstance(error, NotReadyError) else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chaos-drill",
        description="Chaos and resilience drills for agent, RAG and LLM-gateway backends,\njudged by evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"chaos-drill {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    choices = {
        name: commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        for name, summary in _COMMANDS.items()
    }
    parser.set_defaults(choices=choices)
    return parser
