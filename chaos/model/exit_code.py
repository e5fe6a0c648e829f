"""Exit codes and which of them wins when several apply: 6, 130/143, 5, 1, 4, 3, 0."""

from __future__ import annotations

from enum import IntEnum

from chaos.model.verdict import Verdict

__all__ = ["ExitCode", "exit_code"]


class ExitCode(IntEnum):
    """What a run of the command ends with."""

    HOLDS = 0
    VIOLATED = 1
    USAGE = 2
    UNKNOWN = 3
    ABORTED = 4
    NOT_READY = 5
    FAULT_REMAINS = 6
    INTERRUPTED = 130
    TERMINATED = 143


_BY_VERDICT = {
    Verdict.HOLDS: ExitCode.HOLDS,
    Verdict.VIOLATED: ExitCode.VIOLATED,
    Verdict.UNKNOWN: ExitCode.UNKNOWN,
    Verdict.NOT_JUDGED: ExitCode.UNKNOWN,
}


def exit_code(
    verdict: Verdict,
    *,
    fault_remains: bool = False,
    interrupted_by: str | None = None,
    not_ready: bool = False,
    aborted: bool = False,
) -> ExitCode:
    """The code of a finished run. `interrupted_by` is the signal's name (SIGINT, SIGTERM, SIGHUP) or None.

    `not_ready`: the system never came up, so nothing was drilled.

    SIGHUP ends like SIGTERM (143): both say that somebody else wants the run to end.
    """
    if fault_remains:
        return ExitCode.FAULT_REMAINS
    if interrupted_by is not None:
        return ExitCode.INTERRUPTED if interrupted_by == "SIGINT" else ExitCode.TERMINATED
    if not_ready:
        return ExitCode.NOT_READY
    if verdict is Verdict.VIOLATED:
        return ExitCode.VIOLATED
    return ExitCode.ABORTED if aborted else _BY_VERDICT[verdict]
