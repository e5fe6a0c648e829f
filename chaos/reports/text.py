"""Text of the system under test is data: it never moves a cursor, opens a tag, or ends a table cell.

Everything a renderer prints that it did not write itself goes through one of these functions.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["block", "code", "count_of", "markdown", "one_line", "shorten", "table_cell"]

# ECMA-48 control sequences (CSI), operating system commands (OSC) and other strings, each in 7-bit and 8-bit form, then ESC with
# its final byte. Removed whole, so that no "[31m" is left behind; one that never ends loses its
# introducer only, and hides nothing.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
# Controls, invisible format characters (bidirectional overrides among them), surrogates, private use, unassigned: none is text.
_NOT_TEXT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SPACES = re.compile(r"\s+")
# What is markup wherever it stands, between certain neighbours, or at the beginning: everything else stays as it is, since reports
# are read in terminals and editors, too. A `_` inside a word emphasises nothing (CommonMark, section 6.2).
_MARKDOWN = re.compile(
    r"([\\`*\[\]|~#@]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # not between letters or digits
    r"|:(?=//|[\w+-]+:)|(?<=www)\."  # links, emoji codes
    r"|^[-+>=])",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"^(\d{1,9})(?=[.)])")


def one_line(text: str) -> str:
    """The text on one line: terminal escapes and control characters gone, runs of white space made one space."""
    plain = _SPACES.sub(" ", _ESCAPES.sub("", text))
    if not plain.isascii() or not plain.isprintable():
        shown = "".join(char for char in plain if unicodedata.category(char) not in _NOT_TEXT)
        plain = _SPACES.sub(" ", shown)  # what was between two spaces may be gone
    return plain.strip()


def block(text: str) -> str:
    """The text with its lines and their indentation kept, each cleaned: for tracebacks, where lines matter."""
    lines = text.splitlines()
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + one_line(line) for line in lines).rstrip()


def shorten(text: str, limit: int) -> str:
    """The text on one line of at most `limit` characters, with an ellipsis where some are missing."""
    plain = one_line(text)
    return plain if len(plain) <= limit else plain[: max(limit - 1, 0)].rstrip() + "…"


def markdown(text: str) -> str:
    """The text on one line, as Markdown that shows exactly it: no markup, no HTML, no link, no end of a table cell."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _LIST_NUMBER.sub(r"\1\\", _MARKDOWN.sub(r"\\\1", plain))


def code(text: str) -> str:
    """The text on one line as a Markdown code span, whatever backticks it holds."""
    plain = one_line(text)
    if not plain:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def table_cell(span: str) -> str:
    """A code span made fit for a table, where a pipe ends the cell even inside code (GitHub Flavored Markdown, section 4.10)."""
    return span.replace("|", "\\|")


def count_of(count: int, noun: str) -> str:
    """`1 operation`, `2 operations`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
