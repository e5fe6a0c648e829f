"""Every error this package raises on purpose, split by whose fault it is.

    ChaosError
    |-- UsageError            the user asked for something that cannot be (exit 2)
    |   `-- ScenarioError     a scenario or link map is wrong, with its place (exit 2)
    |-- NotReadyError         this machine or the system is not ready (exit 5)
    |   `-- ProxyError        the fault proxy refused or could not be reached
    |-- HealError             a fault may remain after healing (exit 6)
    `-- JournalError          a stored run cannot be read

A message says what happened, where, and what to do next.
"""

from __future__ import annotations

__all__ = ["ChaosError", "HealError", "JournalError", "NotReadyError", "ProxyError", "ScenarioError", "UsageError"]


class ChaosError(Exception):
    """Base of all errors raised on purpose; its text is meant for a person."""


class UsageError(ChaosError):
    """The command line or an argument cannot be served as given."""


class ScenarioError(UsageError):
    """A scenario or link map file is wrong; `problems` hold one located line each (`file:line:column: text`)."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotReadyError(ChaosError):
    """Something a run needs is missing or did not come up."""


class ProxyError(NotReadyError):
    """The fault proxy refused a request, answered too late, or is gone."""


class HealError(ChaosError):
    """Read-back after healing still shows a fault of ours."""


class JournalError(ChaosError):
    """A stored run is not there, of another format, or damaged before its first event."""
