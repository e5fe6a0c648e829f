"""The command line as a person meets it: help, bad input, dry runs. Nothing here starts a system."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from chaos.cli import _COMMANDS, main
from chaos.system import reserve_port
from tests.documents import ROOT

BROKEN = """name: mine
system: reference
links: reference
workloads:
  - {kind: rag, rate: 5/s}
timeline:
  faults:
    - {fault: latncy, on: rag>postgres, at: 0s, for: 3s, latency: 100ms}
"""


@pytest.mark.parametrize("command", sorted(_COMMANDS.keys() - {"proxy"}))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`COMMAND --help` exits 0 and shows an example."""
    with pytest.raises(SystemExit) as exited:
        main([command, "--help"])
    assert exited.value.code == 0
    assert f"chaos-drill {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], *([name] for name in sorted(_COMMANDS)), ["proxy", "top"]], ids=" ".join)
def test_help_fits_a_terminal(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line of any help is longer than 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main([*words, "--help"])
    told = capsys.readouterr().out.splitlines()
    assert told
    assert [line for line in told if len(line) > 80] == []


def test_help_lists_what_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names every command, and no command it cannot run."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in ("run", "plan", "report", "proxy", "attach", "init"))
    assert not any(f"    {name} " in text for name in ("suite", "explore", "deadlines", "compare", "history"))


def test_help_imports_no_engine() -> None:
    """`--help` stays quick: neither httpx nor the engine is imported for it."""
    code = (
        "import sys, chaos.cli\n"
        "try: chaos.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('httpx', 'anyio', 'chaos.engine', 'msgspec') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"


def test_a_typo_in_a_scenario_is_located(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """file:line:column, what is wrong, the nearest valid name; exit 2 and no run folder."""
    path = tmp_path / "mine.yaml"
    path.write_text(BROKEN)
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert f"{path}:8:15" in error
    assert "latency" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "smoek"], "did you mean smoke?"),
        (["vaildate", "smoke"], "there is no command 'vaildate': did you mean validate?"),
        (["run", "smoke", "--defect", "swalowed-error"], "did you mean swallowed-error?"),
        (["run", "no/such/file.yaml"], "there is no file"),
        (["report", "nothing-like-this", "--out", "nowhere"], "nowhere"),
        (["plan", "."], "is a folder"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown names end in exit 2 with a hint, never in a traceback, and leave nothing behind."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert hint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_scenario_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder, or a file the system refuses to look at, is a usage error and no traceback."""
    assert main(["plan", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert main(["plan", f"{'x' * 300}.yaml"]) == 2
    assert "cannot be read: File name too long" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a word the help is printed."""
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_defects_are_of_the_reference_backend(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A system of one's own has none to switch on: refused, instead of a run that claims to have one."""
    path = str(ROOT / "docs/examples/orders/flawed.yaml")
    assert main(["run", path, "--defect", "swallowed-error", "--out", str(tmp_path / "out")]) == 2
    assert "defects are of the reference backend" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_fault_is_one_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """`validate` counts as people do."""
    assert main(["validate", str(ROOT / "docs/examples/orders/flawed.yaml")]) == 0
    assert ": valid (1 fault, " in capsys.readouterr().out


def test_no_proxy_there_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is missing and how to get it come first; the details stand behind."""
    with reserve_port() as hold:
        url = f"http://{hold.address}"
        assert main(["run", "smoke", "--proxy", url, "--out", str(tmp_path / "out")]) == 5
    assert (
        f"no fault proxy answers at {url}: start one with `chaos-drill attach`, or leave --proxy out ("
        in capsys.readouterr().err
    )


def test_plan_shows_faults_and_cells(capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run names the faults with their times and links, and what will be judged."""
    assert main(["plan", "smoke"]) == 0
    text = capsys.readouterr().out
    assert "gateway>provider" in text
    assert "error-class" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_plan_as_json_is_the_whole_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """`plan --json` is one JSON document with scenario and cells."""
    assert main(["plan", "smoke", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["scenario"]["name"] == "smoke"
    assert plan["cells"]


def test_every_shipped_scenario_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    """`validate` accepts what we ship."""
    assert main(["validate", "smoke", "quickstart", "slow-postgres", "nats-lost", "provider-refusing"]) == 0
    assert capsys.readouterr().out.count("valid") == 5


def test_validate_tells_every_problem_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bad file does not hide the next."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(BROKEN)
    two.write_text(BROKEN.replace("latncy", "bandwith"))
    assert main(["validate", str(one), "smoke", str(two)]) == 2
    shown = capsys.readouterr()
    assert "one.yaml:8:15" in shown.err
    assert "two.yaml:8:15" in shown.err
    assert "smoke.yaml: valid" in shown.out


def test_schema_is_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema` prints draft 2020-12."""
    assert main(["schema"]) == 0
    assert "2020-12" in json.loads(capsys.readouterr().out)["$schema"]


def test_defects_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every defect names class, scenario and oracles."""
    assert main(["defects", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["name"] and row["class"] and row["scenario"] and row["oracles"] for row in rows)
