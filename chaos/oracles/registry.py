"""All oracles, in the order in which reports show them. A new one is a file of its own and a line here."""

from __future__ import annotations

from chaos.oracles.bounded import BOUNDED
from chaos.oracles.budget import BUDGET
from chaos.oracles.cause_kept import CAUSE_KEPT
from chaos.oracles.error_class import ERROR_CLASS
from chaos.oracles.exactly_once import EXACTLY_ONCE
from chaos.oracles.healed import HEALED
from chaos.oracles.injected import INJECTED
from chaos.oracles.isolation import ISOLATION
from chaos.oracles.ok_means_ok import OK_MEANS_OK
from chaos.oracles.oracle import Oracle
from chaos.oracles.recovers import RECOVERS
from chaos.oracles.retry_bound import RETRY_BOUND
from chaos.oracles.steady import STEADY
from chaos.oracles.trace_context import TRACE_CONTEXT
from chaos.oracles.trace_parent import TRACE_PARENT

__all__ = ["ORACLES", "find_oracle"]

ORACLES: tuple[Oracle, ...] = (
    BOUNDED,
    ERROR_CLASS,
    OK_MEANS_OK,
    CAUSE_KEPT,
    RETRY_BOUND,
    BUDGET,
    TRACE_CONTEXT,
    TRACE_PARENT,
    ISOLATION,
    EXACTLY_ONCE,
    INJECTED,
    HEALED,
    RECOVERS,
    STEADY,
)


def find_oracle(name: str) -> Oracle | None:
    """The oracle of that name, or None."""
    return next((one for one in ORACLES if one.name == name), None)
