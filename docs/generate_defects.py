"""What finds what: every drill on the correct backend and on every defect it must find, and the table of it in docs/defects.md.

    python docs/generate_defects.py run --times 3 --busy     runs them, one after the other, and keeps the results in docs/defects.json
    python docs/generate_defects.py run --only stream-cut    some of them, again
    python docs/generate_defects.py                          writes the page from the results

With --busy one core is kept busy by something else meanwhile.
"""

# ruff: noqa: INP001 - a script beside the page that it makes

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from chaos.engine import DEFECTS, shipped_scenarios
from chaos.oracles import ORACLES

HERE = Path(__file__).parent
RESULTS = HERE / "defects.json"
PAGE = HERE / "defects.md"
CORRECT = ""

Pair = tuple[str, str]
Row = dict[str, object]


def pairs() -> list[Pair]:
    """Scenario and defect, the correct backend first, in the order of the scenarios."""
    found = [(name, CORRECT) for name in shipped_scenarios()]
    found += [(scenario, one.name) for one in DEFECTS for scenario in one.found_by]
    return sorted(found, key=lambda pair: (pair[0], pair[1] != CORRECT))


def expected(pair: Pair) -> set[str]:
    """The oracles that must say VIOLATED."""
    scenario, defect = pair
    return {oracle for one in DEFECTS if one.name == defect for oracle in one.found_by[scenario]}


def allowed(pair: Pair) -> set[str]:
    """The oracles that may say VIOLATED: the expected ones, and those that what the defect leads to may reach."""
    scenario, defect = pair
    return expected(pair) | {
        oracle for one in DEFECTS if (one.name, one.scenario) == (defect, scenario) for oracle in one.may
    }


def run_one(pair: Pair, out: Path) -> Row:
    """One run of a pair, as a user would run it."""
    scenario, defect = pair
    began = time.monotonic()
    argv = [sys.executable, "-m", "chaos", "run", scenario, "--quiet", "--json", "--out", str(out)]
    done = subprocess.run(
        [*argv, *(["--defect", defect] if defect else [])], capture_output=True, text=True, check=False
    )
    verdict = json.loads(done.stdout)
    return {
        "exit": done.returncode,
        "seconds": round(time.monotonic() - began, 1),
        "violated": sorted({cell["oracle"] for cell in verdict["cells"] if cell["verdict"] == "VIOLATED"}),
        "unknown": sorted({cell["oracle"] for cell in verdict["cells"] if cell["verdict"] == "UNKNOWN"}),
        "judged": sorted({cell["oracle"] for cell in verdict["cells"]}),
    }


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Something else that would like a whole core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run(times: int, only: str, *, busy: bool, add: bool) -> None:
    """Run what is asked for and keep the results; those of other pairs stay, and with `add` the earlier ones of the same pair."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with busy_core() if busy else contextlib.nullcontext():
        for pair in pairs():
            if only and only not in ("/".join(pair), *pair):
                continue
            key = "/".join(pair)
            rows: list[Row] = list(results.get(key, {}).get("runs", ())) if add else []
            for _ in range(times):
                with tempfile.TemporaryDirectory() as out:
                    rows.append(run_one(pair, Path(out)))
                print(f"{pair[0]:22} {pair[1] or 'correct':32} {rows[-1]}", flush=True)
            results[key] = {"busy": busy, "runs": rows}
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def page(results: dict[str, dict[str, object]]) -> str:
    """The page."""
    names = [one.name for one in ORACLES]
    lines = [
        "# What finds what",
        "",
        "Every shipped drill on the correct backend, and on every defect that it must find. This page is made from runs, so many of each as it",
        "says (`python docs/generate_defects.py run`; `--times 3 --busy` repeats them beside something that keeps one core busy).",
        "`V` is an oracle that said VIOLATED in every run, `v` one that did in some; a dot is one that held, a question mark one that was UNKNOWN",
        "in some run; nothing stands where it was not judged. **Bold** is what must be found. Times are medians of the whole command.",
        "",
        "| drill | backend | runs | exit | " + " | ".join(names) + " | s |",
        "|---|---|---|---|" + "---|" * len(names) + "---|",
    ]
    for pair in pairs():
        entry = results.get("/".join(pair))
        runs = list(entry["runs"]) if entry else []  # type: ignore[call-overload]
        cells = [_cell(name, runs, must=name in expected(pair)) for name in names]
        exits = ", ".join(dict.fromkeys(str(one["exit"]) for one in runs)) or "-"
        median = sorted(one["seconds"] for one in runs)[len(runs) // 2] if runs else "-"
        lines.append(
            f"| `{pair[0]}` | {pair[1] or 'correct'} | {len(runs)} | {exits} | {' | '.join(cells)} | {median:g} |"
            if runs
            else f"| `{pair[0]}` | {pair[1] or 'correct'} | 0 | - | {' | '.join('' for _ in names)} | - |"
        )
    return "\n".join(lines) + "\n"


def _cell(oracle: str, runs: list[Row], *, must: bool) -> str:
    judged = [one for one in runs if oracle in one["judged"]]  # type: ignore[operator]
    if not judged:
        return ""
    violated = [one for one in judged if oracle in one["violated"]]  # type: ignore[operator]
    unknown = [one for one in judged if oracle in one["unknown"]]  # type: ignore[operator]
    text = "V" if len(violated) == len(runs) else "v" if violated else "?" if unknown else "."
    return f"**{text}**" if must else text


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("run",), help="run the drills first")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", default="", help="a part of scenario/defect")
    parser.add_argument("--add", action="store_true", help="keep the runs that there are, and add these")
    parser.add_argument("--busy", action="store_true", help="keep one core busy meanwhile")
    args = parser.parse_args()
    if args.what == "run":
        run(args.times, args.only, busy=args.busy, add=args.add)
    PAGE.write_text(page(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
