"""A YAML parser's complaint as a person would put it: where it really is, and what to write instead."""

from __future__ import annotations

from typing import Any

import yaml

from chaos.model.reading.problems import START, Place

__all__ = ["explain"]

Told = tuple[Place, str, str]
_RESERVED = "@`%|>!&*"


def explain(error: yaml.YAMLError, text: str) -> Told:
    """Place, what is wrong, and what to write instead, of a syntax error in this text."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return START, "this is not YAML", "compare it with a shipped scenario"
    mark = error.problem_mark or error.context_mark
    start = error.context_mark or error.problem_mark
    told = _by_context(error, start, mark) or _by_character(mark, text)
    return told or _by_problem(error, mark, start)


def _at(mark: Any) -> Place:
    return START if mark is None else Place(mark.line + 1, mark.column + 1)


def _by_context(error: yaml.MarkedYAMLError, start: Any, mark: Any) -> Told | None:
    """What the parser was doing says more than what it stumbled over."""
    context, problem = error.context or "", error.problem or ""
    if "alias" in context:
        return _at(start), "an unquoted * starts a YAML alias", 'write any, such as any>postgres, or quote it: "*"'
    if "anchor" in context:
        return _at(start), "an unquoted & starts a YAML anchor", "put the text in quotes"
    if "quoted scalar" in context and "escape" in problem:
        return _at(mark), "a backslash that escapes nothing", "use single quotes around text with backslashes"
    if "quoted scalar" in context:
        return _at(start), "the text in quotes that begins here is not well formed", "close it, or use single quotes"
    return None


def _by_character(mark: Any, text: str) -> Told | None:
    """A character that cannot stand where it stands. Marks count characters, so the text is looked up by line and column."""
    if mark is None:
        return None
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        column = indent.index("\t") + 1
        return Place(mark.line + 1, column), "a tab stands in the indentation", "indent with spaces"
    character = line[mark.column : mark.column + 1]
    if character == "\t":
        return _at(mark), "a tab stands here", "use spaces"
    if character and character in "]}":
        return _at(mark), f"a {character} that closes nothing", "remove it, or open the bracket"
    if character and character in _RESERVED:
        return _at(mark), f"a value cannot begin with {character}", "put it in quotes"
    return None


def _by_problem(error: yaml.MarkedYAMLError, mark: Any, start: Any) -> Told:
    problem, context = error.problem or "", error.context or ""
    if "mapping values are not allowed" in problem:
        return (
            _at(mark),
            "a colon where no key can be",
            "check indentation and the space after the key's colon, or quote the text",
        )
    if "simple key" in context or "simple key" in problem:
        return _at(start), "a line without a colon stands among keys", "write key: value"
    if "flow" in context:
        opened = f"the bracket opened on line {_at(start).line} is not closed properly"
        return _at(mark), opened, "check commas, colons and the closing bracket"
    if "block" in context:
        what = f"this does not belong to the block that begins on line {_at(start).line}"
        return _at(mark), what, "check the indentation"
    return (
        _at(mark),
        f"not valid YAML ({problem})" if problem else "not valid YAML",
        "check this line and the one before",
    )
