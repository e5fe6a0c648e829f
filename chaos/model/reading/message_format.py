"""The form of what picks messages, and of the moment at which something is done to them."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.model.fault import FaultKind, Phase, split_phase
from chaos.model.reading.groups import Field, MapOf
from chaos.model.reading.nodes import Node, Scalar
from chaos.model.reading.plain import Choice, Text, Whole
from chaos.model.reading.problems import Report, quote
from chaos.model.reading.shape import Schema, refuse

__all__ = ["COUNTS", "SCOPES", "picking_fields"]

COUNTS = ("first", "every", "nth")
SCOPES = ("link", "connection", "operation")
_MOST = 100_000
_LONGEST_ANSWER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A phase of an exchange, `during` with the number of an item."""

    phases: tuple[Phase, ...]

    def read(self, node: Node, report: Report) -> str | None:
        """The phase as it is written."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            refuse(node, report, "a phase", self._words())
            return None
        try:
            phase, _ = split_phase(node.text)
        except ValueError:
            report.add(node.place, f"unknown phase {quote(node.text)}", f"write {self._words()}")
            return None
        if phase not in self.phases:
            report.add(node.place, f"this fault knows no phase {phase}", f"write {self._words()}")
            return None
        return node.text

    def _words(self) -> str:
        return ", ".join("during:3 (the third item)" if one is Phase.DURING else one.value for one in self.phases)

    def schema(self) -> Schema:
        """A string with a pattern."""
        words = [r"during:[1-9][0-9]{0,5}" if one is Phase.DURING else one.value for one in self.phases]
        return {"type": "string", "pattern": f"^({'|'.join(words)})$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an error says: a word or a number, as text either way."""

    def read(self, node: Node, report: Report) -> str | None:
        """The text as it is written: 08006 stays 08006."""
        if not isinstance(node, Scalar) or not node.text.strip() or len(node.text) > _LONGEST_ANSWER:
            refuse(node, report, "an answer", "an HTTP status (429), an SQLSTATE (40001), or no-responders on NATS")
            return None
        return node.text.strip()

    def schema(self) -> Schema:
        """A number or a string."""
        return {"type": ["string", "integer"]}


def picking_fields(kind: FaultKind) -> dict[str, Field]:
    """The keys that say which messages a fault of this kind acts on, and when."""
    fields: dict[str, Field] = {}
    if kind.of_messages:
        fields["phase"] = Field(
            Moment(phases=kind.phases),
            "When it acts: at connect, before the message is passed on, after it was done (its answer is swallowed), during:n of its answer",
            "after",
            default="before",
        )
    if kind.picks:
        fields["operation"] = Field(
            Text(wanted="a pattern on signatures", example="COMMIT", longest=200, shortest=1),
            "Messages it acts on, by their signature; * stands for anything",
            "COMMIT",
            default="all",
        )
        fields["count"] = Field(
            MapOf(Whole(least=1, most=_MOST, example=3), "count", COUNTS, most=1),
            "Which of them: the first n, every n-th, or only the n-th",
            {"every": 3},
            default="all",
        )
        fields["per"] = Field(
            Choice(what="scope", words=SCOPES), "Where the count begins anew", "operation", default="link"
        )
    if kind.name == "error":
        fields["answer"] = Field(
            Code(),
            "What it says: an HTTP status, an SQLSTATE, no-responders or -ERR with a text on NATS",
            429,
            required=True,
        )
    return fields
