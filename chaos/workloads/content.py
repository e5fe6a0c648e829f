"""What a plain operation declares about the content of its ok answers, compiled; each check yields what it did not find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from chaos.model.operation import Unmet
from chaos.model.plain import Content
from chaos.workloads.answers import excerpt
from chaos.workloads.call import Call
from chaos.workloads.envelope import read_json
from chaos.workloads.templates import Fill, fill_json, fill_text

__all__ = ["ContentChecks", "as_text", "hidden_error", "same", "says_error"]

_MISSING = object()
_SEEN_CHARS = 120


class ContentChecks:
    """The declared content of one operation."""

    def __init__(self, content: Content) -> None:
        self._values = {path: fill_json(value) for path, value in content.json.items()}
        self._texts = tuple(fill_text(one) for one in content.contains)
        self._end: Fill | None = None if content.ends_with is None else fill_text(content.ends_with)

    def __bool__(self) -> bool:
        """Whether anything is declared."""
        return bool(self._values or self._texts or self._end)

    def check(self, call: Call, body: bytes, *, degraded: bool = False) -> Iterator[Unmet]:
        """What a body does not hold. A degraded answer owes its end only."""
        if not degraded:
            yield from self._json(call, body)
            yield from self._contains(call, body)
        if self._end is not None:
            yield from _ends_with(self._end(call), body)

    def _json(self, call: Call, body: bytes) -> Iterator[Unmet]:
        if not self._values:
            return
        document = read_json(body)
        if isinstance(document, Unmet):
            yield document
            return
        for path, fill in self._values.items():
            seen, expected = _at(document, path), fill(call)
            if not same(seen, expected):
                yield Unmet(check="json", expected=f"{path}: {as_text(expected)}", seen=_told(path, seen, document))

    def _contains(self, call: Call, body: bytes) -> Iterator[Unmet]:
        for one in self._texts:
            text = one(call)
            if text.encode() not in body:
                yield Unmet(check="contains", expected=excerpt(text), seen=excerpt(body) or "an empty answer")


def _ends_with(marker: str, body: bytes) -> Iterator[Unmet]:
    """White space at the end means nothing: event streams end with blank lines."""
    if not body.rstrip().endswith(marker.encode().rstrip()):
        seen = excerpt(body[-_SEEN_CHARS:]) or "an empty answer"
        yield Unmet(check="terminal-marker", expected=f"an answer that ends with {excerpt(marker)}", seen=seen)


def says_error(body: bytes) -> bool:
    """Whether a JSON object has an `error` with something in it: a text or an object."""
    value = read_json(body) if b'"error"' in body else None
    return isinstance(value, dict) and isinstance(value.get("error"), str | dict) and bool(value["error"])


def hidden_error(
    body: bytes, expected: str = "no error in an ok answer; if it is right, declare the content under expect:"
) -> Unmet:
    """An error that goes as ok."""
    return Unmet(check="error-body", expected=expected, seen=excerpt(body))


def same(seen: object, expected: object) -> bool:
    """Whether a value is the expected one: by type but for whole numbers, which may come as floats or as text."""
    if isinstance(expected, bool) or isinstance(seen, bool) or expected is None:
        return seen is expected
    if isinstance(expected, int) and isinstance(seen, str):
        return seen == str(expected)
    if isinstance(expected, list) and isinstance(seen, list):
        return len(seen) == len(expected) and all(map(same, seen, expected))
    if isinstance(expected, dict) and isinstance(seen, dict):
        return seen.keys() == expected.keys() and all(same(seen[key], one) for key, one in expected.items())
    return seen == expected


def as_text(value: object) -> str:
    """A JSON value on one line."""
    return excerpt(msgspec.json.encode(value))


def _at(document: Any, path: str) -> Any:
    """The value at a path, or _MISSING."""
    for step in path.split("."):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return _MISSING
    return document


def _told(path: str, seen: object, document: object) -> str:
    return excerpt(f"no {path} in {as_text(document)}") if seen is _MISSING else as_text(seen)
