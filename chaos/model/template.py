"""Templates: texts of a scenario that are filled in for each operation. This parses them; the driver fills them in.

`{op_id}` `{index}` `{nonce}` `{trace_id}` `{workload}` are facts of the operation, `{choice:a|b|c}` and `{int:1-100}` are drawn as a
function of seed and op id: the same placeholder has the same value everywhere in one operation. `${NAME}` is a variable of the
environment that the drill is started in. `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = [
    "PLACEHOLDERS",
    "VARIABLE",
    "Part",
    "Placeholder",
    "TemplateError",
    "find_placeholders",
    "parse_template",
    "unescape",
]

PLACEHOLDERS = ("op_id", "index", "nonce", "trace_id", "workload", "choice", "int")
"""Names of all placeholders."""

VARIABLE = "variable"
"""Name of the placeholder of an environment variable; `text` is the variable's name."""

_FACTS = frozenset(PLACEHOLDERS) - {"choice", "int"}
_TOKEN = re.compile(r"\{\{|\}\}|\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)\}|\{(?P<inside>[^{}]*)\}|[{}]")
_KNOWN = re.compile(rf"\{{((?:{'|'.join(sorted(_FACTS))})|(?:choice|int):[^{{}}]*)\}}")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_RANGE = re.compile(r"(-?[0-9]{1,15})-(-?[0-9]{1,15})")


class TemplateError(ValueError):
    """A text that is no template: `what` is wrong, and what to write `instead`."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}; {instead}")
        self.what = what
        self.instead = instead


class Placeholder(NamedTuple):
    """A place to fill in: one of PLACEHOLDERS, with the words of a choice, or the bounds of an int (both included), or a VARIABLE."""

    name: str
    text: str
    words: tuple[str, ...] = ()
    least: int = 0
    most: int = 0

    @property
    def numeric(self) -> bool:
        """Whether its value is a number."""
        return self.name in {"index", "int"}


Part = str | Placeholder


def parse_template(text: str) -> tuple[Part, ...]:
    """The literal pieces and placeholders of a text, in order. Raises TemplateError for a brace that belongs to neither."""
    parts: list[Part] = []
    literal, last = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[last : match.start()]
        last = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
        elif match["variable"]:
            parts += [literal, Placeholder(VARIABLE, match["variable"])]
            literal = ""
        elif match["inside"] is None:
            raise TemplateError(
                f"a single {match[0]} in a text", f"write {match[0] * 2} for a brace, or give JSON as json:"
            )
        else:
            parts += [literal, _placeholder(match["inside"])]
            literal = ""
    return tuple(one for one in [*parts, literal + text[last:]] if one != "")


def find_placeholders(text: str) -> tuple[Part, ...]:
    """The same for a text that is full of braces of its own, such as a regular expression: only well-formed placeholders count.

    Raises TemplateError for a placeholder whose words or bounds are wrong.
    """
    parts: list[Part] = []
    last = 0
    for match in _KNOWN.finditer(text):
        parts += [text[last : match.start()], _placeholder(match[1])]
        last = match.end()
    return tuple(one for one in [*parts, text[last:]] if one != "")


def unescape(text: str) -> str:
    r"""The text with `\r` `\n` `\t` `\0` and `\\` as the characters they stand for. Raises TemplateError for any other backslash."""

    def character(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPED:
            raise TemplateError(
                f"the backslash before {match[1]!r} escapes nothing", r"write \r \n \t \0 or \\, or bytes as hex:0d0a"
            )
        return _ESCAPED[match[1]]

    return _ESCAPE.sub(character, text)


def _placeholder(inside: str) -> Placeholder:
    name, colon, argument = inside.partition(":")
    if name in _FACTS and not colon:
        return Placeholder(name, inside)
    if name == "choice" and colon:
        words = tuple(argument.split("|"))
        if len(words) < 2:
            raise TemplateError(f"{{{inside[:60]}}} has nothing to choose from", "write {choice:a|b|c}")
        return Placeholder(name, inside, words=words)
    if name == "int" and colon:
        return _range(inside, argument)
    raise _unknown(inside, name)


def _range(inside: str, argument: str) -> Placeholder:
    match = _RANGE.fullmatch(argument)
    if match is None or int(match[1]) > int(match[2]):
        raise TemplateError(f"{{{inside[:60]}}} is no range", "write {int:1-100}, the smaller bound first")
    return Placeholder("int", inside, least=int(match[1]), most=int(match[2]))


def _unknown(inside: str, name: str) -> TemplateError:
    if name in _FACTS:
        return TemplateError(f"{{{inside[:60]}}} takes no argument", f"write {{{name}}}")
    if name in PLACEHOLDERS:
        return TemplateError(f"{{{name}}} needs an argument", "write {choice:a|b|c} or {int:1-100}")
    if re.fullmatch(r"[A-Za-z_]\w*", name):
        return TemplateError(
            f"unknown placeholder {{{inside[:60]}}}",
            f"known: {', '.join(f'{{{one}}}' for one in PLACEHOLDERS[:5])}, {{choice:a|b}}, {{int:1-100}}",
        )
    return TemplateError(
        f"the brace before {inside[:20]!r} begins no placeholder", "write {{ for a brace, or give JSON as json:"
    )
