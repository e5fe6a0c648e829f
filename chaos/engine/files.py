"""Where scenarios, link maps and run folders are found: in the user's tree first, then those shipped with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

import chaos
from chaos.errors import UsageError

__all__ = ["find_link_map", "find_scenario", "shipped_scenarios"]

_PACKAGE = Path(chaos.__file__).parent


def _shipped(kind: str) -> Path:
    """The shipped folder: package data in an installed wheel, the top level of a checkout otherwise."""
    inside = _PACKAGE / "data" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def shipped_scenarios() -> dict[str, Path]:
    """Names and paths of the scenarios that come with the package."""
    return {path.stem: path for path in sorted(_shipped("scenarios").glob("*.yaml"))}


def find_scenario(target: str) -> Path:
    """The file a person means by `target`: a path, or the name of a shipped scenario. Raises UsageError with the nearest name."""
    path = Path(target)
    if _is_file(path):
        return path
    shipped = shipped_scenarios()
    if target in shipped:
        return shipped[target]
    if path.is_dir():
        raise UsageError(f"{target} is a folder; give the path of a YAML file")
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise UsageError(f"there is no file {target}")
    near = difflib.get_close_matches(target, shipped, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"there is no scenario {target!r}: {hint}shipped are {', '.join(shipped)}; or give the path of a YAML file"
    )


def _is_file(path: Path) -> bool:
    """Whether a file is there. What may not be looked at counts: reading it then says what forbids it."""
    try:
        return path.is_file()
    except OSError:
        return True


def find_link_map(name: str, *, beside: Path) -> Path:
    """The link map a scenario names: a path relative to the scenario, or a shipped map's name. Raises UsageError."""
    for path in (beside.parent / name, beside.parent / f"{name}.yaml", _shipped("proxies") / f"{name}.yaml"):
        if _is_file(path):
            return path
    known = sorted(path.stem for path in _shipped("proxies").glob("*.yaml"))
    raise UsageError(
        f"there is no link map {name!r}; shipped are {', '.join(known)}; or give a path relative to the scenario"
    )
