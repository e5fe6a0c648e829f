"""A config file as data: its proxies, each with its place, and what is wrong with it. Pure.

The form is that of a /populate body, which is what toxiproxy-server reads, with `protocol` and `toxics` beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from chaos.model.link import Protocol
from chaos.proxy.api.bodies import PROXY_KEYS, take_proxy, take_toxic, to_settings
from chaos.proxy.api.gojson import BodyError, Pairs, decode_value, kind
from chaos.proxy.api.specs import to_spec
from chaos.proxy.config.places import Step, line_and_column, place_of
from chaos.proxy.errors import DataPlaneError, ListenError
from chaos.proxy.message.moment import moment_of
from chaos.proxy.picking import ramp_of, tally_of
from chaos.proxy.settings import ProxySettings, ToxicSpec
from chaos.proxy.toxics import TOXIC_TYPES

__all__ = ["Entry", "Page", "read_page"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy of the file. `place` is `file:line:column` of the entry, `listen_place` of its address."""

    settings: ProxySettings
    place: str
    listen_place: str

    @contextmanager
    def locating(self) -> Iterator[None]:
        """A ListenError inside this block says where the address stands."""
        try:
            yield
        except ListenError as error:
            raise ListenError(f"{self.listen_place}: {error}") from error


class Page:
    """What a file says: `entries` that are good, `problems` and `warnings` as `file:line:column: text`."""

    def __init__(self, name: str, text: str, *, toxics: bool) -> None:
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self._name = name
        self._text = text
        self._toxics = toxics
        self._places: dict[str, str] = {}

    def read(self) -> None:
        """Read all of it; what is wrong with one entry does not hide what is wrong with the next."""
        for index, item in enumerate(self._items()):
            before = len(self.problems)
            settings = self._entry(index, item)
            if settings is not None and len(self.problems) == before:
                place, listen = self.place(index), self.place(index, "listen")
                self.entries.append(Entry(settings=settings, place=place, listen_place=listen))

    def place(self, *path: Step) -> str:
        """`file:line:column` of a value."""
        line, column = place_of(self._text, path)
        return f"{self._name}:{line}:{column}"

    def _items(self) -> list[Any]:
        try:
            _, end = json.JSONDecoder().raw_decode(self._text, len(self._text) - len(self._text.lstrip(" \t\r\n")))
            value = decode_value(self._text.encode("utf-8", "surrogatepass"))
        except json.JSONDecodeError as error:
            self.problems.append(f"{self._name}:{error.lineno}:{error.colno}: not JSON: {error.msg}")
            return []
        except (BodyError, RecursionError) as error:
            self.problems.append(f"{self._name}:1:1: not JSON: {error}")
            return []
        rest = self._text[end:].lstrip(" \t\r\n")
        if rest:
            line, column = line_and_column(self._text, len(self._text) - len(rest))
            self.problems.append(f"{self._name}:{line}:{column}: nothing may follow the list of proxies")
        if value is None or kind(value) == "array":
            return value or []
        self.problems.append(f"{self.place()}: the file is a list of proxies, this is {_article(kind(value))}")
        return []

    def _entry(self, index: int, item: Any) -> ProxySettings | None:
        if not isinstance(item, Pairs):
            self.problems.append(f"{self.place(index)}: a proxy is an object, this is {_article(kind(item))}")
            return None
        members = self._members(index, item)
        for field in ("name", "upstream"):
            if not members.get(field) and field not in [key.casefold() for key, value in item if value is not None]:
                self.problems.append(f"{self.place(index)}: missing required field: {field}")
            elif field in members and not members[field]:
                self.problems.append(f"{self.place(index, field)}: {field} is empty")
        self._once(index, members.get("name"))
        toxics = self._specs(index, members) if self._toxics else ()
        return to_settings(members, toxics)

    def _members(self, index: int, item: Pairs) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in item:
            if key.casefold() not in PROXY_KEYS:
                self.warnings.append(f"{self.place(index, key)}: {key!r} means nothing here")
                continue
            try:
                found |= take_proxy(Pairs([(key, value)]))
            except BodyError as error:
                self.problems.append(f"{self.place(index, key)}: {error}")
        return found

    def _once(self, index: int, name: str | None) -> None:
        if name and name in self._places:
            first = self._places[name]
            self.problems.append(f"{self.place(index, 'name')}: the name {name!r} is taken, see {first}")
        elif name:
            self._places[name] = self.place(index, "name")

    def _specs(self, index: int, members: dict[str, Any]) -> tuple[ToxicSpec, ...]:
        specs: list[ToxicSpec] = []
        value = members.get("toxics")
        if value is not None and kind(value) != "array":
            self.problems.append(f"{self.place(index, 'toxics')}: toxics are a list, this is {_article(kind(value))}")
            return ()
        for number, item in enumerate(value or []):
            try:
                specs.append(_spec(item, specs, members.get("protocol")))
            except (BodyError, DataPlaneError) as error:
                self.problems.append(f"{self.place(index, 'toxics', number)}: {error}")
        return tuple(specs)


def _spec(item: Any, before: Sequence[ToxicSpec], protocol: Protocol | None) -> ToxicSpec:
    spec = to_spec(take_toxic(item), [one.name for one in before])
    kind = TOXIC_TYPES[spec.type]
    kind.decode(spec.attributes)
    for refuse in (moment_of, tally_of):
        refuse(spec, kind, protocol)
    ramp_of(spec, kind)
    for name in ("lease", "at_ns"):
        if getattr(spec, name) is not None:
            raise BodyError(f"{name} belongs to a running server; a config file cannot know one")
    return spec


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def read_page(data: bytes, name: str, *, toxics: bool = True) -> Page:
    """Read a file's bytes; `name` stands in the messages. Without `toxics` those of its proxies mean nothing, as with 2.12."""
    page = Page(name, data.decode("utf-8", "replace"), toxics=toxics)
    if data.startswith(b"\xef\xbb\xbf"):
        page.problems.append(f"{name}:1:1: the file begins with a byte order mark; save it without one")
    else:
        page.read()
    return page
