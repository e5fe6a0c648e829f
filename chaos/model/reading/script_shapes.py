"""Shapes of what is looked for in answers, and of the steps of a script: patterns, lines, bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chaos.model.plain import TcpStep
from chaos.model.reading.groups import Field, Record
from chaos.model.reading.nodes import Mapping, Node, Scalar
from chaos.model.reading.plain import Text
from chaos.model.reading.plain_shapes import LONGEST, Template, parse_at
from chaos.model.reading.problems import Place, Report, quote
from chaos.model.reading.shape import Schema
from chaos.model.template import find_placeholders

__all__ = ["Pattern", "Step"]

_REGEX = re.compile(r"/(.+)/", re.DOTALL)
_HEX = re.compile(r"hex:\s*((?:[0-9A-Fa-f]{2}\s*)+)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text to look for, or a `/regular expression/`."""

    def read(self, node: Node, report: Report) -> str | None:
        """The pattern as written."""
        text = Text(wanted="a text or a /regular expression/", example="cached", longest=1000, shortest=1).read(
            node, report
        )
        return text if text is not None and check_regex(text, node.place, report) else None

    def schema(self) -> Schema:
        """A string."""
        return Text(longest=1000, shortest=1).schema()


def check_regex(text: str, place: Place, report: Report) -> bool:
    """Whether a text between slashes is a regular expression; any other text is fine."""
    match = _REGEX.fullmatch(text)
    try:
        re.compile(match[1] if match else "")
    except (re.error, OverflowError, RecursionError) as error:
        report.add(place, f"not a regular expression: {error}", "mend it, or leave out the slashes to look for text")
        return False
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a script: one of send, expect, until."""

    def read(self, node: Node, report: Report) -> TcpStep | None:
        """The step."""
        fields = _STEP.read(node, report)
        if fields is None:
            return None
        if isinstance(node, Mapping) and len(node.entries) != 1:
            report.add(node.place, f"a step with {len(node.entries)} keys", "write one of send, expect, until per step")
            return None
        for act, text in fields.values.items():
            return TcpStep(act=act, text=text)
        return None

    def schema(self) -> Schema:
        """An object with one key."""
        return {**_STEP.schema(), "minProperties": 1, "maxProperties": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a step sends or looks for: text with escapes, `hex:` bytes (not for `lines`), or (unless it is sent) a regular expression."""

    sent: bool = False
    lines: bool = False

    def read(self, node: Node, report: Report) -> str | None:
        """The text as written."""
        text = node.text if isinstance(node, Scalar) else ""
        if text.startswith("hex:"):
            return self._bytes(text, node, report)
        if not self.sent and _REGEX.fullmatch(text):
            fine = check_regex(text, node.place, report) and parse_at(find_placeholders, text, node.place, report)
            return text if fine else None
        return Template(example='"PING\\r\\n"' if self.sent else '"+PONG"', shortest=1, escapes=True).read(node, report)

    def _bytes(self, text: str, node: Node, report: Report) -> str | None:
        if self.lines:
            report.add(node.place, "until looks at lines, not at bytes", "write expect: hex:...")
        elif not _HEX.fullmatch(text):
            report.add(node.place, f"{quote(text)} is not bytes in hex", "write pairs of hex digits, such as hex:0d0a")
        else:
            return text
        return None

    def schema(self) -> Schema:
        """A string."""
        return Text(longest=LONGEST, shortest=1).schema()


_STEP = Record(
    "step",
    {
        "send": Field(
            _Wanted(sent=True),
            "Text to send, with the escapes \\r \\n \\t \\0 \\\\, or bytes as hex:0d0a",
            "PING\r\n",
        ),
        "expect": Field(
            _Wanted(),
            "How the next line begins, or a /regular expression/ that it matches, or the next bytes as hex:",
            "+PONG",
        ),
        "until": Field(_Wanted(lines=True), "The same for lines: read until one is like that", "/^250 /"),
    },
    about="One step",
)
