"""Shapes of groups: lists, one or many, mappings of names, records of known keys, variants told apart by one key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from chaos.model.reading.nodes import Entry, Mapping, Node, Scalar, Sequence
from chaos.model.reading.problems import Place, Report, article, known, nearest, plural, quote
from chaos.model.reading.shape import At, Schema, Shape, refuse

__all__ = ["Either", "Field", "Fields", "ListOf", "MapOf", "OneOrMany", "Record", "Variants", "inline"]

T = TypeVar("T")
_NEEDS_QUOTES = re.compile(r"""[{}\[\],"\\\r\n]|: |\s#|^[*&!|>'%@`+-]""")


def _check_count(count: int, least: int, most: int, what: str, place: Place, report: Report) -> None:
    if count < least:
        report.add(place, f"no {what} at all", f"write at least {least}")
    elif count > most:
        report.add(place, f"{count} {plural(what)}", f"write at most {most}")


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list of values of one shape."""

    item: Shape[T]
    what: str
    most: int
    least: int = 1

    def read(self, node: Node, report: Report) -> tuple[At[T], ...] | None:
        """The values that could be read, with their places."""
        if not isinstance(node, Sequence):
            refuse(node, report, f"a list of {plural(self.what)}", "one item per line, each after a dash")
            return None
        _check_count(len(node.items), self.least, self.most, self.what, node.place, report)
        read = [(self.item.read(one, report), one.place) for one in node.items[: self.most]]
        return tuple(At(value, place) for value, place in read if value is not None)

    def schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.item.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class OneOrMany(Generic[T]):
    """One value, or a list of them."""

    item: Shape[T]
    what: str
    most: int
    least: int = 1

    def read(self, node: Node, report: Report) -> tuple[At[T], ...] | None:
        """The values that could be read, with their places."""
        if isinstance(node, Sequence):
            return ListOf(self.item, self.what, self.most, self.least).read(node, report)
        value = self.item.read(node, report)
        return None if value is None else (At(value, node.place),)

    def schema(self) -> Schema:
        """The item or an array of it."""
        return {"anyOf": [self.item.schema(), ListOf(self.item, self.what, self.most, self.least).schema()]}


@dataclass(frozen=True, slots=True)
class MapOf(Generic[T]):
    """A mapping whose keys are names chosen by the user, of a form (`keys`), or known beforehand (`names`)."""

    item: Shape[T]
    what: str
    names: tuple[str, ...] = ()
    pattern: str = ""
    most: int = 256
    keys: Shape[str] | None = None

    def read(self, node: Node, report: Report) -> dict[str, tuple[At[str], At[T]]] | None:
        """Keys and values that could be read, with their places."""
        if not isinstance(node, Mapping):
            refuse(node, report, f"a mapping of {plural(self.what)}", f"{self.what}: value")
            return None
        _check_count(len(node.entries), 1, self.most, self.what, node.place, report)
        found: dict[str, tuple[At[str], At[T]]] = {}
        for entry in node.entries[: self.most]:
            if self.names and entry.key not in self.names:
                instead = known(entry.key, self.names)
                report.add(entry.place, f"unknown {self.what} {quote(entry.key)}", instead)
            written = Scalar(place=entry.place, text=entry.key, value=entry.key)
            fine = self.keys is None or self.keys.read(written, report) is not None
            value = self.item.read(entry.value, report)
            if value is not None and fine:
                found[entry.key] = (At(entry.key, entry.place), At(value, entry.value.place))
        return found

    def schema(self) -> Schema:
        """An object with free keys, or with the known ones."""
        schema: Schema = {"type": "object", "minProperties": 1, "maxProperties": self.most}
        if self.names:
            schema["propertyNames"] = {"enum": list(self.names)}
        elif self.pattern:
            schema["propertyNames"] = {"pattern": self.pattern}
        elif self.keys is not None:
            schema["propertyNames"] = self.keys.schema()
        return {**schema, "additionalProperties": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Either:
    """A plain value, or a record written as a mapping."""

    plain: Shape[Any]
    record: Record

    def read(self, node: Node, report: Report) -> Any:
        """What the plain shape reads, or the record's `Fields`."""
        if isinstance(node, Sequence):
            refuse(
                node,
                report,
                article(self.record.what),
                f"a plain value, or a mapping with {', '.join(self.record.fields)}",
            )
            return None
        return (self.record if isinstance(node, Mapping) else self.plain).read(node, report)

    def schema(self) -> Schema:
        """Either schema."""
        return {"anyOf": [self.plain.schema(), self.record.schema()]}


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a record. `default` says what holds without it, `example` how it is written."""

    shape: Shape[Any]
    about: str
    example: Any
    required: bool = False
    default: str = ""

    def schema(self) -> Schema:
        """The shape's schema with description and example."""
        default = f" Default: {self.default}." if self.default else ""
        return {"description": f"{self.about}.{default}", **self.shape.schema(), "examples": [self.example]}


class Fields:
    """A record as read: its values by key, and where each stands."""

    def __init__(self, node: Mapping, values: dict[str, Any]) -> None:
        self.place = node.place
        self.values = values
        self._places = {entry.key: entry.value.place for entry in node.entries}

    def __contains__(self, key: str) -> bool:
        """Whether the key was written and could be read."""
        return key in self.values

    def __getitem__(self, key: str) -> Any:
        """The value of a key that was read. Raises KeyError."""
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where it is left out or could not be read."""
        return self.values.get(key, default)

    def wrote(self, key: str) -> bool:
        """Whether the key was written, readable or not."""
        return key in self._places

    def place_of(self, key: str) -> Place:
        """Where the key's value stands, or the record if the key is left out."""
        return self._places.get(key, self.place)


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known keys. `what` names it in messages.

    `moved` are keys that belong elsewhere, and what to say; `renamed` are wrong words for keys that people try.
    """

    what: str
    fields: AnyMapping[str, Field]
    about: str = ""
    moved: AnyMapping[str, str] = field(default_factory=dict)
    renamed: AnyMapping[str, str] = field(default_factory=dict)

    def read(self, node: Node, report: Report) -> Fields | None:
        """The fields that could be read; every other key is reported."""
        if not isinstance(node, Mapping):
            refuse(node, report, f"{article(self.what)} with keys", ", ".join(self.fields))
            return None
        values: dict[str, Any] = {}
        present: set[str | None] = set()
        for entry in node.entries:
            if entry.key not in self.fields:
                present.add(self._refuse_key(entry, report))
                continue
            present.add(entry.key)
            value = self.fields[entry.key].shape.read(entry.value, report)
            if value is not None:
                values[entry.key] = value
        self._require(node, present, report)
        return Fields(node, values)

    def _refuse_key(self, entry: Entry, report: Report) -> str | None:
        """Report an unknown key; answers which one was probably meant, so that it is not reported as missing too."""
        what = f"{article(self.what)} has no {quote(entry.key)}"
        if entry.key in self.moved:
            report.add(entry.place, what, self.moved[entry.key])
            return None
        if entry.key in self.renamed:
            report.add(entry.place, what, f"write {self.renamed[entry.key]}: instead of {entry.key}:")
            return self.renamed[entry.key]
        report.add(entry.place, what, known(entry.key, self.fields))
        return nearest(entry.key, self.fields)

    def _require(self, node: Mapping, present: set[str | None], report: Report) -> None:
        for key, one in self.fields.items():
            if one.required and key not in present:
                report.add(node.place, f"this {self.what} lacks the key {key}", f"add {key}: {inline(one.example)}")

    def schema(self) -> Schema:
        """An object that takes no other keys."""
        schema: Schema = {"type": "object", "properties": {key: one.schema() for key, one in self.fields.items()}}
        required = [key for key, one in self.fields.items() if one.required]
        if required:
            schema["required"] = required
        about = {"description": self.about} if self.about else {}
        return {**about, **schema, "additionalProperties": False}


def inline(example: Any) -> str:
    """An example as flow YAML."""
    if isinstance(example, dict):
        return "{" + ", ".join(f"{key}: {inline(value)}" for key, value in example.items()) + "}"
    if isinstance(example, list):
        return "[" + ", ".join(map(inline, example)) + "]"
    if isinstance(example, str) and _NEEDS_QUOTES.search(example):
        return json.dumps(example, ensure_ascii=False)
    return str(example).lower() if isinstance(example, bool) else str(example)


@dataclass(frozen=True, slots=True)
class Variants:
    """A record whose known keys depend on the word under one of them."""

    what: str
    key: str
    records: AnyMapping[str, Record]
    synonyms: tuple[str, ...] = ()

    def read(self, node: Node, report: Report) -> Fields | None:
        """The fields of the variant that the key names."""
        if not isinstance(node, Mapping):
            refuse(node, report, f"{article(self.what)} with keys", f"{{{self.key}: {next(iter(self.records))}, ...}}")
            return None
        word = next((entry.value for entry in node.entries if entry.key == self.key), None)
        if word is None:
            self._refuse_missing(node, report)
        elif not isinstance(word, Scalar):
            refuse(word, report, f"the name of a {self.what}", f"one of {', '.join(self.records)}")
        elif word.text not in self.records:
            report.add(word.place, f"unknown {self.what} {quote(word.text)}", known(word.text, self.records))
        else:
            return self.records[word.text].read(node, report)
        return None

    def _refuse_missing(self, node: Mapping, report: Report) -> None:
        for entry in node.entries:
            if entry.key in self.synonyms or nearest(entry.key, (self.key,)):
                what = f"{article(self.what)} has no {quote(entry.key)}"
                report.add(entry.place, what, f"write {self.key}: instead of it")
                return
        instead = f"add {self.key}: and one of {', '.join(self.records)}"
        report.add(node.place, f"this {self.what} lacks the key {self.key}", instead)

    def schema(self) -> Schema:
        """One object for each variant."""
        return {"oneOf": [record.schema() for record in self.records.values()]}
