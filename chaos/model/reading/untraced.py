"""`untraced`: what is sent over traced links and need not carry trace context."""

from __future__ import annotations

from chaos.model.reading.groups import Fields, ListOf
from chaos.model.reading.plain import Text
from chaos.model.reading.problems import Report

__all__ = ["check_untraced", "untraced_signatures"]


def untraced_signatures() -> ListOf[str]:
    """A list of signatures."""
    return ListOf(Text(wanted="a signature", example="GET /healthz", longest=200, shortest=1), "signature", 64)


def check_untraced(fields: Fields, report: Report, what: str = "a link") -> None:
    """Exceptions need something to be exceptions from."""
    if fields.get("untraced") and not fields.get("traced", False):
        problem = f"exceptions on {what} that is not traced"
        report.add(fields.place_of("untraced"), problem, "add traced: true, or leave them out")
