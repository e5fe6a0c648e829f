"""Shapes of what plain workloads say: templates, JSON values, paths, request lines, header names, subjects."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chaos.model.reading.nodes import Mapping, Node, Scalar, Sequence
from chaos.model.reading.plain import Text
from chaos.model.reading.problems import Place, Report, nearest, quote
from chaos.model.reading.shape import Schema, refuse
from chaos.model.template import PLACEHOLDERS, Part, TemplateError, parse_template, unescape

__all__ = [
    "BudgetHeader",
    "HeaderName",
    "Json",
    "JsonValue",
    "Path",
    "RequestLine",
    "Subject",
    "Template",
    "literals",
    "parse_at",
]

LONGEST = 100_000
_FIELD_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
_REQUEST = re.compile(r"([A-Z]{1,20}) (/.*)", re.DOTALL)
_OURS = {
    "content-length": "leave it out, it follows from the body",
    "transfer-encoding": "leave it out, bodies are sent whole",
    "connection": "leave it out, connections are kept",
    "traceparent": "leave it out, the driver sends the operation's own",
    "baggage": "leave it out, the driver sends the op id",
}


def literals(text: str) -> str:
    """The text without its placeholders."""
    return "".join(one for one in parse_template(text) if isinstance(one, str))


def parse_at(parse: Callable[[str], tuple[Part, ...]], text: str, place: Place, report: Report) -> bool:
    """Whether the text is a template; what is wrong with it is reported."""
    try:
        parse(text)
    except TemplateError as error:
        name = re.match(r"unknown placeholder \{([A-Za-z_]\w*)", error.what)
        near = nearest(name[1], PLACEHOLDERS) if name else None
        report.add(place, error.what, f"did you mean {{{near}}}?" if near else error.instead)
        return False
    return True


def unquoted(node: Node) -> str | None:
    """The placeholder that stands there without quotes, and so became a mapping."""
    if isinstance(node, Mapping) and len(node.entries) == 1:
        entry = node.entries[0]
        empty = isinstance(entry.value, Scalar) and entry.value.value is None
        if empty and entry.key.partition(":")[0] in PLACEHOLDERS:
            return f"{{{entry.key}}}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text that is filled in for each operation. `header`: one line of printable ASCII; `escapes`: backslashes mean something."""

    example: str = "order {op_id}"
    wanted: str = "text"
    shortest: int = 0
    header: bool = False
    escapes: bool = False

    def read(self, node: Node, report: Report) -> str | None:
        """The text as written."""
        placeholder = unquoted(node)
        if placeholder is not None:
            report.add(node.place, f"the placeholder {placeholder} without quotes", f'write "{placeholder}"')
            return None
        text = Text(wanted=self.wanted, example=self.example, longest=LONGEST, shortest=self.shortest).read(
            node, report
        )
        if text is None or not parse_at(self._parse, text, node.place, report):
            return None
        if self.header and re.search(r"[^\x20-\x7e]", text):
            report.add(
                node.place, "a header's value is one line of printable ASCII", "encode it, or send it in the body"
            )
            return None
        return text

    def _parse(self, text: str) -> tuple[Part, ...]:
        return parse_template(unescape(text) if self.escapes else text)

    def schema(self) -> Schema:
        """A string."""
        return Text(longest=LONGEST, shortest=self.shortest).schema()


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON value as read; null is one."""

    value: Any


@dataclass(frozen=True, slots=True)
class JsonValue:
    """Any JSON value, its texts templates."""

    def read(self, node: Node, report: Report) -> Json | None:
        """The value."""
        wrong: list[Node] = []
        value = _json(node, report, wrong)
        return None if wrong else Json(value)

    def schema(self) -> Schema:
        """Anything."""
        return {}


def _json(node: Node, report: Report, wrong: list[Node]) -> Any:
    """The node as plain data; nodes that are none are reported and collected."""
    placeholder = unquoted(node)
    if placeholder is not None:
        report.add(node.place, f"the placeholder {placeholder} without quotes", f'write "{placeholder}"')
        wrong.append(node)
        return None
    if isinstance(node, Sequence):
        return [_json(one, report, wrong) for one in node.items]
    if isinstance(node, Mapping):
        return {entry.key: _json(entry.value, report, wrong) for entry in node.entries}
    if not _is_json(node, report):
        wrong.append(node)
    return node.value


def _is_json(node: Scalar, report: Report) -> bool:
    value = node.value
    if isinstance(value, str):
        return parse_at(parse_template, value, node.place, report)
    if isinstance(value, float) and not math.isfinite(value):
        report.add(node.place, f"{node.text} is not a JSON number", "write it in quotes, or another value")
        return False
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        report.add(node.place, "a number of more than 64 bits", "write it in quotes")
        return False
    return True


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value stands in a JSON document: keys and list indexes with dots between them."""

    def read(self, node: Node, report: Report) -> str | None:
        """The path as written."""
        text = Text(wanted="a path", example="items.0.id", longest=400).read(node, report)
        if text is not None and "" in text.split("."):
            report.add(
                node.place, f"{quote(text)} is not a path", "write keys with dots between them, such as items.0.id"
            )
            return None
        return text

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "maxLength": 400, "pattern": r"^[^.]+(\.[^.]+)*$"}


@dataclass(frozen=True, slots=True)
class RequestLine:
    """Method and path of an HTTP request."""

    def read(self, node: Node, report: Report) -> tuple[str, str] | None:
        """Method and path template."""
        text = Template(wanted="a method and a path", example="POST /orders", shortest=3).read(node, report)
        if text is None:
            return None
        match = _REQUEST.fullmatch(text)
        if match is None or match[1] == "CONNECT":
            what = f"{quote(text)} is not a method and a path"
            whole_url = "://" in text.partition("?")[0]
            instead = (
                "leave out scheme and host, `to` says where it goes" if whole_url else "write one such as POST /orders"
            )
            report.add(node.place, what, instead)
            return None
        if re.search(r"[\s#]", literals(match[2])):
            report.add(
                node.place, "a path holds no spaces and no #", "write %20 and %23, or end the line after the path"
            )
            return None
        return match[1], match[2]

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "minLength": 3, "maxLength": LONGEST, "pattern": "^[A-Z]{1,20} /"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderName:
    """The name of a header."""

    def read(self, node: Node, report: Report) -> str | None:
        """The name as written."""
        text = node.text if isinstance(node, Scalar) else ""
        if not re.fullmatch(_FIELD_NAME, text):
            refuse(node, report, "a header's name", "letters, digits and dashes, such as X-Tenant")
        elif text.casefold() in _OURS:
            report.add(node.place, f"the header {text} is the driver's own", _OURS[text.casefold()])
        else:
            return text
        return None

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "pattern": f"^{_FIELD_NAME}$"}


@dataclass(frozen=True, slots=True)
class BudgetHeader:
    """The name of a header, or false for none."""

    def read(self, node: Node, report: Report) -> str | None:
        """The name; empty for none."""
        if isinstance(node, Scalar) and node.value is False:
            return ""
        if isinstance(node, Scalar) and node.value is True:
            report.add(node.place, "true names no header", "write its name, such as X-Request-Timeout-Ms, or false")
            return None
        return HeaderName().read(node, report)

    def schema(self) -> Schema:
        """A name or false."""
        return {"anyOf": [HeaderName().schema(), {"const": False}]}


@dataclass(frozen=True, slots=True)
class Subject:
    """A NATS subject to publish on: tokens and dots, no wildcards."""

    def read(self, node: Node, report: Report) -> str | None:
        """The subject template."""
        text = Template(wanted="a NATS subject", example="orders.place", shortest=1).read(node, report)
        if text is None:
            return None
        around = "".join(one if isinstance(one, str) else "x" for one in parse_template(text))
        if re.search(r"[\s*>]|^\.|\.\.|\.$", around):
            report.add(node.place, f"{quote(text)} is not one subject", "write tokens and dots, such as orders.place")
            return None
        return text

    def schema(self) -> Schema:
        """A string."""
        return Text(longest=LONGEST, shortest=1).schema()
