"""Links that stay up, as a table: who is to be pointed where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from chaos.model.link import Link
from chaos.reports.text import one_line

__all__ = ["render_links"]


def render_links(links: Sequence[Link], *, api: str, target: str, file: TextIO) -> None:
    """Print where each link listens and leads, and how a run uses them."""
    rows = [(one.caller, one.callee, one.listen or "", one.upstream or "", one.protocol.value) for one in links]
    head = ("caller", "callee", "point it at", "leads to", "protocol")
    widths = [max(len(one_line(row[at])) for row in (head, *rows)) for at in range(len(head))]
    file.writelines(
        "  ".join(one_line(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        for row in (head, *rows)
    )
    file.write(f"\nlinks of {one_line(target)}; Ctrl-C ends them\n")
    file.write(f"meanwhile:  chaos-drill run DRILL.yaml --proxy http://{api}\n")
    file.write(f"look at it: chaos-drill proxy top --url http://{api}\n")
    file.flush()
