"""Begin a drill: a scenario and, where something runs already, its link map, from what can be found out without asking."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from chaos.engine.init_hints import Hints, find_hints
from chaos.engine.init_sketch import sketch
from chaos.engine.init_text import link_map_text, scenario_text
from chaos.engine.planning import vocabulary
from chaos.errors import UsageError
from chaos.model.base import Data
from chaos.model.reading import read_link_map, read_scenario
from chaos.model.scenario import LinkMap

__all__ = ["Begun", "begin_drill"]

_SCENARIO = "drill.yaml"
_LINKS = "links.yaml"
_SUFFIXES = {".yaml", ".yml"}


class Begun(Data, frozen=True, kw_only=True):
    """What was found and written. `links` is None where the run starts everything, so that the links follow from the scenario."""

    hints: Hints
    scenario: Path
    links: Path | None = None


def begin_drill(target: Path, *, force: bool = False, proc: Path = Path("/proc/net")) -> Begun:
    """Write a drill into a folder, or as this file with its link map beside it; the folder is where hints are looked for.

    Raises UsageError for a file that is there already (unless `force`), and for a place that cannot be written or named.
    """
    scenario, links = _files(target)
    folder = scenario.parent
    hints = find_hints(folder, proc=proc)
    drawn = sketch(hints, name=folder.resolve().name)
    texts = {scenario: scenario_text(drawn, file=scenario.name, links=links.name)}
    if drawn.parts:
        texts[links] = link_map_text(drawn, file=links.name)
    _refuse_existing(texts, force=force)
    _check(texts[scenario], texts.get(links), source=str(scenario))
    for path, text in texts.items():
        _write(path, text, force=force)
    return Begun(hints=hints, scenario=scenario, links=links if links in texts else None)


class _Set(dict[str, str]):
    """An environment that has every variable: which are set is a matter of the run."""

    def __missing__(self, _: str) -> str:
        return "x"

    def __contains__(self, _: object) -> bool:
        return True


def _check(scenario: str, links: str | None, *, source: str) -> None:
    """Nothing is written that could not be read."""
    words = dataclasses.replace(vocabulary(), environment=_Set())
    link_map = None if links is None else read_link_map(links, source=source)
    read_scenario(
        scenario, source=source, vocabulary=words, load_links=lambda _: link_map or LinkMap(name="", links=())
    )


def _files(target: Path) -> tuple[Path, Path]:
    if target.is_dir():
        return target / _SCENARIO, target / _LINKS
    if not target.name.isprintable():
        raise UsageError(
            f"{target.name!r} would stand in what is written, where no control characters may: choose another name"
        )
    if target.suffix not in _SUFFIXES:
        raise UsageError(f"there is no folder {target}; make it first, or name a file that ends in .yaml")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}; make it first")
    return target, target.with_name(f"{target.stem}-links{target.suffix}")


def _refuse_existing(paths: Iterable[Path], *, force: bool) -> None:
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there and not force:
        are = "is" if len(there) == 1 else "are"
        raise UsageError(
            f"{' and '.join(there)} {are} there already, and nothing was written; "
            "name another file (chaos-drill init other.yaml), or say --force to replace"
        )


def _write(path: Path, text: str, *, force: bool) -> None:
    """The whole file or none of it; without `force` never over another one, should it come into being meanwhile."""
    try:
        if not force:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            return
        draft = path.with_name(f".{path.name}.{os.getpid()}.new")
        with _removed(draft):
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _removed(draft: Path) -> Iterator[None]:
    try:
        yield
    finally:
        draft.unlink(missing_ok=True)
