"""From text to nodes: parser events in, one tree out, without recursion, with bounds on depth, anchors and size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from chaos.model.reading.limits import MAX_ANCHORS, MAX_DEPTH, MAX_NODES
from chaos.model.reading.nodes import Entry, Mapping, Node, Scalar, Sequence
from chaos.model.reading.problems import START, Place, Report, quote
from chaos.model.reading.scalars import resolve
from chaos.model.reading.source import decode
from chaos.model.reading.syntax import explain

__all__ = ["compose"]

STAR = "an unquoted * starts a YAML alias"
STAR_INSTEAD = 'write any, such as any>postgres, or quote it: "*"'


def compose(text: str | bytes, source: str, *, loader: Any = None) -> tuple[Mapping, Report]:
    """The root mapping of a file and the problems found so far (duplicate keys, tags, anchors).

    Raises ScenarioError at once where nothing useful can be read: bad bytes, bad syntax, no mapping at the root.
    """
    decoded = decode(text, source)
    composer = _Composer(Report(source))
    try:
        for event in yaml.parse(decoded, Loader=loader or _fastest_loader()):
            composer.take(event)
    except yaml.YAMLError as error:
        composer.report.add(*explain(error, decoded))
        raise composer.report.error() from None
    return composer.root(), composer.report


def _fastest_loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _place(mark: Any) -> Place:
    return START if mark is None else Place(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Open:
    """A collection that is still being read; `size` counts its nodes with aliases expanded."""

    place: Place
    anchor: str | None
    mapping: bool
    nodes: list[Node] = field(default_factory=list)
    size: int = 1


class _Composer:
    def __init__(self, report: Report) -> None:
        self.report = report
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._documents: list[Node] = []

    def take(self, event: Any) -> None:
        """One event of the parser."""
        place = _place(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            if self._documents:
                self._give_up(place, "a second document begins here", "write one scenario per file")
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "", place)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._refuse_tag(event.tag, place)
            self._open(_Open(place, event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self._stack.pop()
            self._emit(self._close(done), done.anchor, done.size)
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event.tag, place)
            value = resolve(event.value) if event.implicit[0] and not event.style else event.value
            self._emit(Scalar(place=place, text=event.value, value=value), event.anchor, 1)

    def root(self) -> Mapping:
        """The mapping at the root. Raises ScenarioError if there is none."""
        if not self._documents or (isinstance(self._documents[0], Scalar) and self._documents[0].value is None):
            self._give_up(START, "the file is empty", "start from a shipped scenario, or with name: my-drill")
        root = self._documents[0]
        if not isinstance(root, Mapping):
            what = "a list" if isinstance(root, Sequence) else "a single value"
            self._give_up(root.place, f"the file holds {what}, not keys with values", "begin with name: my-drill")
        assert isinstance(root, Mapping)
        return root

    def _give_up(self, place: Place, what: str, instead: str) -> None:
        self.report.add(place, what, instead)
        raise self.report.error()

    def _refuse_tag(self, tag: str | None, place: Place) -> None:
        if tag is not None:
            self.report.add(place, f"the tag {quote(tag)} is not used here", "remove it, values are plain data")
            self.report.spoil(place)

    def _alias(self, anchor: str, place: Place) -> None:
        if anchor not in self._anchors:
            self.report.add(place, f"{STAR}, and no &{anchor[:40]} stands before it", STAR_INSTEAD)
            self.report.spoil(place)
            self._emit(Scalar(place=place, text="*" + anchor, value="*" + anchor), None, 1)
            return
        node, size = self._anchors[anchor]
        self._emit(node, None, size)

    def _open(self, collection: _Open) -> None:
        self._stack.append(collection)
        if len(self._stack) > MAX_DEPTH:
            self._give_up(collection.place, f"nested deeper than {MAX_DEPTH} levels", "no scenario needs that")

    def _emit(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
            if len(self._anchors) > MAX_ANCHORS:
                self._give_up(node.place, f"more than {MAX_ANCHORS} anchors", "write the values out")
        if not self._stack:
            self._documents.append(node)
            return
        parent = self._stack[-1]
        parent.nodes.append(node)
        parent.size += size
        if parent.size > MAX_NODES:
            self._give_up(parent.place, f"more than {MAX_NODES} values", "split the drill into several scenarios")

    def _close(self, done: _Open) -> Node:
        if not done.mapping:
            return Sequence(place=done.place, items=tuple(done.nodes))
        entries: dict[str, Entry] = {}
        for key, value in zip(done.nodes[::2], done.nodes[1::2], strict=True):
            if isinstance(key, Scalar):
                self._add_entry(entries, Entry(key=key.text, place=key.place, value=value))
            else:
                self.report.add(key.place, "a key is a list or mapping", "write a plain word before the colon")
        return Mapping(place=done.place, entries=tuple(entries.values()))

    def _add_entry(self, entries: dict[str, Entry], entry: Entry) -> None:
        if entry.key == "<<":
            self.report.add(entry.place, "merge keys (<<) are not part of YAML 1.2", "write the keys out")
        elif entry.key in entries:
            first = entries[entry.key].place.line
            self.report.add(entry.place, f"the key {quote(entry.key)} stands twice (first on line {first})", "keep one")
        else:
            entries[entry.key] = entry
