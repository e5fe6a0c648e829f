"""Exit codes: which one wins when several apply."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.model.exit_code import exit_code
from chaos.model.verdict import Verdict


@pytest.mark.parametrize(
    ("verdict", "also", "code"),
    [
        (Verdict.HOLDS, {}, 0),
        (Verdict.VIOLATED, {}, 1),
        (Verdict.UNKNOWN, {}, 3),
        (Verdict.NOT_JUDGED, {}, 3),
        (Verdict.HOLDS, {"aborted": True}, 4),
        (Verdict.UNKNOWN, {"aborted": True}, 4),
        (Verdict.VIOLATED, {"aborted": True}, 1),
        (Verdict.UNKNOWN, {"not_ready": True}, 5),
        (Verdict.VIOLATED, {"interrupted_by": "SIGINT"}, 130),
        (Verdict.HOLDS, {"interrupted_by": "SIGTERM"}, 143),
        (Verdict.HOLDS, {"interrupted_by": "SIGHUP"}, 143),
        (Verdict.UNKNOWN, {"interrupted_by": "SIGINT", "not_ready": True}, 130),
        (Verdict.HOLDS, {"fault_remains": True, "interrupted_by": "SIGINT", "aborted": True}, 6),
    ],
)
def test_which_code_wins(verdict: Verdict, also: dict[str, Any], code: int) -> None:
    """6 before 130/143 before 5 before 1 before 4 before 3 before 0."""
    assert exit_code(verdict, **also) == code
