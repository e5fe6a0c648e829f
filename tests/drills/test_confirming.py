"""What rests on time is confirmed by a second run, or is not; and a second run can be interrupted like the first."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.journal import read_evidence
from tests.drills.running import Result, Running, assert_nothing_left, run_drill, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]
DATA = Path(__file__).parent / "data"
LATE = (str(DATA / "late.yaml"), "--defect", "no-http-timeout")
CELL = "bounded/slow-provider/gateway"


def cell(result: Result) -> dict[str, Any]:
    """The cell in which answers were late."""
    return next(one for one in result.verdict["cells"] if one["id"] == CELL)


def judged_again(result: Result) -> dict[str, Any]:
    """`report` on the run's folder."""
    argv = [sys.executable, "-m", "chaos", "report", str(result.folder), "--json"]
    again = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert again.returncode == result.code, again.stderr
    document: dict[str, Any] = json.loads(again.stdout)
    return document


def test_late_answers_are_confirmed_by_a_second_run(tmp_path: Path) -> None:
    """Services without timeouts answer a slow provider's callers too late, and do so again: VIOLATED, by the record alone as well."""
    result = run_drill(*LATE, out=tmp_path)
    assert result.code == 1, result.explain()
    assert result.violated() == {"bounded"}, result.explain()
    (finding,) = result.verdict["findings"]
    assert (finding["error_class"], finding["confirmed"], finding["cells"]) == ("late", True, [CELL])
    assert "a second run shows it, too" in cell(result)["reason"]
    (attempt,) = result.verdict["attempts"]
    assert (attempt["faults"], attempt["end_how"]) == (["slow-provider"], "complete")
    assert "confirming slow-provider: second run, 1 of 1" in result.screen
    assert "confirmed by a second run" in " ".join(result.screen.split())
    assert {path.name for path in (result.folder / "logs" / "attempt-1").iterdir()} >= {"gateway.log", "proxy.log"}
    assert judged_again(result) == result.verdict


def test_without_second_runs_late_answers_stay_unknown(tmp_path: Path) -> None:
    """`--no-confirm` leaves the finding unconfirmed, and takes no longer than the drill."""
    result = run_drill(*LATE, "--no-confirm", out=tmp_path)
    assert result.code == 3, result.explain()
    assert cell(result)["reason"].endswith("no second run has confirmed it")
    assert [one["confirmed"] for one in result.verdict["findings"]] == [False]
    assert result.verdict["attempts"] == []


def proxy_api(drill: Running) -> str:
    """The API of the run's proxy, as its command line names it."""
    words = Path(f"/proc/{drill.pid_of('proxy')}/cmdline").read_text().split("\0")
    return f"http://{words[words.index('-host') + 1]}:{words[words.index('-port') + 1]}"


def test_what_the_second_run_does_not_show_is_not_confirmed(tmp_path: Path) -> None:
    """Somebody else makes the link slower during the first run's fault: answers are late then, and in the second run they are not."""
    with start_drill(str(DATA / "interfered.yaml"), "--defect", "no-http-timeout", out=tmp_path) as drill:
        api = proxy_api(drill)
        drill.wait_for("FaultStarted")
        toxic = {"name": "not-ours", "type": "latency", "attributes": {"latency": 700}}
        httpx.post(f"{api}/proxies/gateway>provider/toxics", json=toxic, trust_env=False).raise_for_status()
        result = drill.finish()
    assert result.code == 3, result.explain()
    reason = cell(result)["reason"]
    assert reason.startswith("not confirmed: "), reason
    assert "none of " in reason, reason
    assert [(one["error_class"], one["confirmed"]) for one in result.verdict["findings"]] == [("late", False)]
    assert [one["end_how"] for one in result.verdict["attempts"]] == ["complete"]
    assert judged_again(result) == result.verdict
    assert_nothing_left(result.folder)


def test_an_interrupted_second_run_is_healed_and_confirms_nothing(tmp_path: Path) -> None:
    """The first run's verdict stands, unconfirmed; the exit code tells of the interrupt, and nothing is left."""
    with start_drill(*LATE, out=tmp_path) as drill:
        drill.wait_for("AttemptStarted")
        first = sum(one["event"] == "FaultStarted" for one in drill.events())
        drill.wait_for_more("FaultStarted", than=first)
        drill.process.send_signal(signal.SIGTERM)
        result = drill.finish()
    assert result.code == 143, result.explain()
    assert "not confirmed: " in cell(result)["reason"]
    assert "the second run ended as interrupted" in cell(result)["reason"]
    evidence = read_evidence(result.folder)
    assert (evidence.end_how, evidence.interrupted_by) == ("complete", None)
    (attempt,) = evidence.attempts
    assert (attempt.end_how, attempt.interrupted_by) == ("interrupted", "SIGTERM")
    assert [(one.remaining, one.error) for one in attempt.heals] == [((), None)]
    assert_nothing_left(result.folder)
