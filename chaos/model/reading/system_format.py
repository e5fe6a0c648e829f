"""The form of `system`: the word `reference`, or a mapping that describes a system of one's own."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from chaos.model.link import Protocol
from chaos.model.reading.addresses import AddressText
from chaos.model.reading.groups import Either, Field, ListOf, MapOf, Record
from chaos.model.reading.measured import Duration
from chaos.model.reading.nodes import Node, Scalar
from chaos.model.reading.plain import Choice, Flag, Name, Text, Whole
from chaos.model.reading.problems import Report
from chaos.model.reading.shape import At, Schema, refuse
from chaos.model.reading.untraced import untraced_signatures
from chaos.model.reading.vocabulary import Vocabulary

__all__ = ["system_format"]

_VARIABLE = "[A-Za-z_][A-Za-z0-9_]{0,99}"
_WORDS = 64
_URLS = {"postgres": "postgres://user:${PGPASSWORD}@127.0.0.1:5432/app", "nats": "nats://127.0.0.1:4222"}
_PROTOCOLS = tuple(one.value for one in Protocol)


def system_format(vocabulary: Vocabulary) -> Either:
    """A shipped system by name, or one of the user's own."""
    word = Choice(what="system", words=vocabulary.systems)
    return Either(word, _own())


def _own() -> Record:
    fields = {
        "services": Field(
            MapOf(_service(), "service", keys=Name()),
            "What the run starts: a command each, in any language",
            {"orders": {"command": "python app.py", "ready": "/healthz"}},
        ),
        **{name: _store(name) for name in _URLS},
        "upstreams": Field(
            MapOf(Either(AddressText(lowest_port=1), _upstream()), "upstream", keys=Name()),
            "What runs already: a name and its address; nothing of it is started or stopped",
            {"payments": "127.0.0.1:9000"},
        ),
    }
    return Record(
        "system", fields, about="A system of your own", renamed={"service": "services", "upstream": "upstreams"}
    )


def _store(name: str) -> Field:
    return Field(
        Text(wanted="local or a URL", example="local", longest=1000, shortest=1),
        f"{name}: local (from its wheel, for this run), or the URL of one that runs; ${{NAME}} is filled in from the environment",
        _URLS[name],
    )


def _upstream() -> Record:
    fields = {
        "at": Field(AddressText(lowest_port=1), "Where it listens", "127.0.0.1:6379", required=True),
        "protocol": Field(Choice(what="protocol", words=_PROTOCOLS), "What it speaks", "tcp", default="http"),
    }
    return Record("upstream", fields, about="Something that runs already", renamed={"address": "at", "upstream": "at"})


def _service() -> Record:
    fields = {
        "command": Field(
            Command(),
            "How it is started: a line, or a list of words; {port} is its port",
            "uvicorn app:app --port {port}",
            required=True,
        ),
        "ready": Field(
            Either(Text(wanted="a path", example="/healthz", longest=200, shortest=1), _ready()),
            "When it is ready: a path that answers 2xx, or {tcp: true}, or {log: a pattern}",
            "/healthz",
            default="its port accepts connections",
        ),
        "calls": Field(
            MapOf(Either(_variable("DATABASE_URL"), _variables()), "callee", keys=Name()),
            "What it calls, each by a link of its own, and the variable that receives the link's URL",
            {"postgres": "DATABASE_URL"},
        ),
        "env": Field(
            MapOf(Value(), "variable", keys=_variable("LOG_LEVEL")),
            "Further variables; {callee.host} and the like, and ${NAME} of the environment are filled in",
            {"LOG_LEVEL": "info"},
        ),
        "listen": Field(_variable("PORT"), "The variable that receives its port", "PORT"),
        "port": Field(
            Whole(least=1, most=65535, example=8080), "A port that it insists on", 8080, default="a free one"
        ),
        "protocol": Field(Choice(what="protocol", words=_PROTOCOLS), "What it speaks", "http", default="http"),
        "traced": Field(Flag(), "It passes trace context (traceparent) on to what it calls", True, default="false"),
        "untraced": Field(
            untraced_signatures(),
            "What it sends that is of no operation and need not carry it: signatures as in the wire log, * for anything",
            ["GET /healthz"],
            default="none",
        ),
        "cwd": Field(
            Text(wanted="a folder", example="app", longest=1000, shortest=1),
            "Where it runs, from the scenario's folder",
            "app",
            default="the scenario's folder",
        ),
        "stop": Field(
            Choice(what="signal", words=("TERM", "INT")), "The signal that ends it gracefully", "INT", default="TERM"
        ),
    }
    renamed = {"cmd": "command", "run": "command", "environment": "env", "depends_on": "calls", "health": "ready"}
    return Record("service", fields, about="A service that the run starts", renamed=renamed)


def _ready() -> Record:
    fields = {
        "http": Field(
            Text(wanted="a path", example="/healthz", longest=200, shortest=1), "A path that answers 2xx", "/healthz"
        ),
        "tcp": Field(Flag(), "Its port accepts connections", True),
        "log": Field(Pattern(), "A line of its log matches this regular expression", "listening on"),
        "within": Field(
            Duration(least_ms=100, most_ms=600_000, example="30s"), "Not ready by then: it failed", "30s", default="30s"
        ),
    }
    return Record("readiness", fields, about="When a service is ready: one of http, tcp and log")


def _variables() -> Record:
    fields = {
        name: Field(_variable(name.upper()), f"The variable that receives the {name}", f"DB_{name.upper()}")
        for name in ("url", "host", "port")
    }
    return Record("set of variables", fields, about="Variables that receive a callee's address")


def _variable(example: str) -> Text:
    return Variable(wanted="the name of a variable", example=example, longest=100, shortest=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Text):
    """The name of an environment variable."""

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "pattern": f"^{_VARIABLE}$"}

    def read(self, node: Node, report: Report) -> str | None:
        """The name."""
        text = Text.read(self, node, report)
        if text is not None and not re.fullmatch(_VARIABLE, text):
            refuse(node, report, self.wanted, f"letters, digits and _, such as {self.example}")
            return None
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A variable's value: any scalar, as it is written."""

    def read(self, node: Node, report: Report) -> str | None:
        """The text: `1` and `true` are text here."""
        if not isinstance(node, Scalar) or len(node.text) > 4000 or "\x00" in node.text:
            refuse(node, report, "a value", 'text, a number, or "" for nothing')
            return None
        return node.text

    def schema(self) -> Schema:
        """A scalar."""
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A regular expression."""

    def read(self, node: Node, report: Report) -> str | None:
        """The pattern, which compiles."""
        text = Text(wanted="a pattern", example="listening on", longest=200, shortest=1).read(node, report)
        if text is None:
            return None
        try:
            re.compile(text)
        except re.error as error:
            report.add(node.place, f"no regular expression: {error}", "write one such as listening on")
            return None
        return text

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": 200}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: a line split as a shell would split it (no shell runs), or a list of words."""

    def read(self, node: Node, report: Report) -> tuple[str, ...] | None:
        """The words."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            try:
                words = tuple(shlex.split(node.text))
            except ValueError as error:
                report.add(node.place, f"this command cannot be split: {error}", "write it as a list of words")
                return None
        else:
            items: tuple[At[str], ...] = ListOf(Value(), "word", _WORDS).read(node, report) or ()
            words = tuple(one.value for one in items)
        if not words or not words[0]:
            refuse(node, report, "a command", "one such as python app.py --port {port}")
            return None
        return words

    def schema(self) -> Schema:
        """A string or an array of scalars."""
        return {"anyOf": [{"type": "string", "minLength": 1}, ListOf(Value(), "word", _WORDS).schema()]}
