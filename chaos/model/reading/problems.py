"""Problems with their places: collected while reading, so that all of a file are told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from chaos.errors import ScenarioError
from chaos.model.reading.limits import MAX_PROBLEMS

__all__ = ["START", "Place", "Report", "article", "known", "nearest", "plural", "quote"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file; both numbers count from 1, columns in characters."""

    line: int
    column: int


START = Place(1, 1)


def quote(text: str) -> str:
    """Text of the file as a short, printable quotation."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name most like this one, or None if none is near."""
    by_folded = {one.casefold(): one for one in names}
    match = get_close_matches(name.casefold()[:100], by_folded, n=1, cutoff=0.6)
    return by_folded[match[0]] if match else None


def known(name: str, names: Iterable[str]) -> str:
    """What to write instead of an unknown name: the nearest one, or all there are."""
    names = tuple(names)
    near = nearest(name, names)
    return f"did you mean {near}?" if near is not None else f"known: {', '.join(names)}"


def plural(noun: str) -> str:
    """More than one of it."""
    return noun + ("es" if noun.endswith("s") else "s")


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    return f"{'an' if noun[:1] in 'aeio' or noun.startswith('http') else 'a'} {noun}"


class Report:
    """The problems of one file, told in the order of their places."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._located: list[tuple[Place, str]] = []
        self._foreign: list[str] = []
        self._spoiled: set[Place] = set()

    def __bool__(self) -> bool:
        """True once there is a problem."""
        return bool(self._located or self._foreign)

    def add(self, place: Place, what: str, instead: str) -> None:
        """One problem: what is wrong at this place, and what to write instead."""
        if place in self._spoiled:
            return
        line = f"{self.source}:{place.line}:{place.column}: {what}; {instead}"
        if (place, line) not in self._located[-MAX_PROBLEMS:]:
            self._located.append((place, line))

    def spoil(self, place: Place) -> None:
        """What stands here is not what the writer meant: whatever else is said of it would only distract."""
        self._spoiled.add(place)

    def add_foreign(self, problems: Iterable[str]) -> None:
        """Located problems of another file that this one names."""
        self._foreign.extend(problems)

    def error(self) -> ScenarioError:
        """All problems as one error, at most MAX_PROBLEMS lines and a count of the rest."""
        lines = [line for _, line in sorted(self._located, key=lambda one: one[0])] + self._foreign
        if len(lines) > MAX_PROBLEMS:
            last = max(place for place, _ in self._located) if self._located else START
            more = f"{self.source}:{last.line}:{last.column}: and {len(lines) - MAX_PROBLEMS} more; mend these first"
            lines = [*lines[:MAX_PROBLEMS], more]
        return ScenarioError(*lines)

    def raise_any(self) -> None:
        """Raise ScenarioError if there is a problem."""
        if self:
            raise self.error()
