"""Where text for people goes: how wide it is, whether it shows colours, and which characters it can show."""

from __future__ import annotations

import io
import os
from typing import TextIO

from rich.console import Console, RenderableType

from chaos.model.base import Data
from chaos.reports.timeline import ASCII, UNICODE, Glyphs

__all__ = ["Screen", "screen_of"]

PLAIN_WIDTH = 80
_WIDEST = 110  # beyond this, lines of prose get hard to read
_IN_ASCII = str.maketrans({"·": "-", "…": "~", "—": "-"})


class Screen(Data, frozen=True, kw_only=True):
    """A place for text: a terminal with colours and boxes, or plain lines of at most 80 columns."""

    terminal: bool = False
    width: int = PLAIN_WIDTH
    unicode: bool = True

    @property
    def glyphs(self) -> Glyphs:
        """The characters for pictures."""
        return UNICODE if self.unicode else ASCII

    def console(self, file: TextIO) -> Console:
        """A rich console that reads no markup, emoji codes or highlights in what it prints."""
        return Console(
            file=file,
            width=self.width,
            force_terminal=self.terminal,
            color_system="auto" if self.terminal else None,
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def text(self, *parts: RenderableType) -> str:
        """The parts below each other as this screen shows them, lines without trailing blanks."""
        buffer = io.StringIO()
        console = self.console(buffer)
        for part in parts:
            console.print(part, overflow="fold")
        lines = [line if self.terminal else line.rstrip() for line in buffer.getvalue().splitlines()]
        return self.encodable("\n".join(lines) + "\n")

    def encodable(self, text: str) -> str:
        """The text in characters that the screen can show."""
        return text if self.unicode else text.translate(_IN_ASCII).encode("ascii", "replace").decode()


def screen_of(file: TextIO) -> Screen:
    """What this file can show. Anything but a terminal gets plain lines of 80 columns."""
    encoding = (getattr(file, "encoding", None) or "utf-8").lower().replace("_", "-")
    unicode = encoding in {"utf-8", "utf8", "utf-16", "utf-32"}
    try:
        terminal = file.isatty() and os.environ.get("TERM") != "dumb"
        width = os.get_terminal_size(file.fileno()).columns if terminal else PLAIN_WIDTH
    except (OSError, ValueError):  # closed, or no file descriptor behind it
        terminal, width = False, PLAIN_WIDTH
    return Screen(terminal=terminal, width=min(width or PLAIN_WIDTH, _WIDEST), unicode=unicode)
