"""Live progress while a drill runs: repainted in place on a terminal, plain lines anywhere else.

A view never slows or breaks the run it shows. Events are folded where they arrive; a thread of its own paints at most four times a
second, so a terminal that takes no more bytes (Ctrl-S, a stuck pager) holds up the painter and nobody else. An error of the view
ends the view and is kept in `error`.
"""

from __future__ import annotations

import contextlib
import queue
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from chaos.model.event import Event
from chaos.model.plan import Plan
from chaos.reports.progress import LiveState
from chaos.reports.screen import Screen, screen_of
from chaos.reports.text import one_line

__all__ = ["LiveView", "live_view"]

_REPAINT_S = 0.25
_JOIN_S = 1.0
_MOST_WAITING = 1000
_TIME_WIDTH = 9  # of "  12.3s  "


class LiveView:
    """Shows events on a screen; calling it with an event never raises and never waits."""

    def __init__(self, title: str, file: TextIO, screen: Screen) -> None:
        self.error: Exception | None = None
        self._title = one_line(title)
        self._file = file
        self._screen = screen
        self._state = LiveState(painted=screen.terminal)
        self._lock = threading.Lock()
        self._lines: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        self._over = threading.Event()
        self._painter = threading.Thread(target=self._paint, name="live-view", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take an event of the run."""
        try:
            with self._lock:
                lines = self._state.feed(event)
            for line in lines:
                with contextlib.suppress(queue.Full):
                    self._lines.put_nowait(line)
        except Exception as error:  # noqa: BLE001 (whatever goes wrong here must not reach the run)
            self.error = error

    def _paint(self) -> None:
        try:
            if self._screen.terminal:
                self._repaint()
            else:
                self._tell()
        except Exception as error:  # noqa: BLE001 (a closed or broken screen ends the view, not the run)
            self.error = error

    def _tell(self) -> None:
        over = False
        while not over:
            over = self._over.wait(_REPAINT_S)
            if lines := self._waiting():
                self._file.write(self._screen.encodable("".join(f"{self._wrapped(line)}\n" for line in lines)))
                self._file.flush()

    def _repaint(self) -> None:
        console = self._screen.console(self._file)
        # Transient: the final table takes its place. Nothing of the process's own output is redirected.
        with Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as live:
            over = False
            while not over:
                over = self._over.wait(_REPAINT_S)
                for line in self._waiting():
                    self._print(console, line)
                live.update(self._picture(), refresh=True)

    def _print(self, console: Console, line: str) -> None:
        console.print(Text(self._screen.encodable(self._wrapped(line)), style="dim"), overflow="fold")

    def _wrapped(self, line: str) -> str:
        """The line within the screen's width, what is left of it below its text and not below its time."""
        return textwrap.fill(line, self._screen.width, subsequent_indent=" " * _TIME_WIDTH, break_on_hyphens=False)

    def _picture(self) -> Group:
        with self._lock:
            elapsed_s, phase = self._state.elapsed_s(time.monotonic_ns()), self._state.phase or "starting"
            load, active = self._state.load(), ", ".join(self._state.active)
            again = f"  {self._state.again()}" if self._state.again() else ""
        head = Text.assemble((self._title, "bold"), again, "  ", (str(phase), "bold cyan"), f"  {elapsed_s:.0f} s")
        lines = [head, Text(load)]
        lines.append(
            Text.assemble("active faults: ", (one_line(active), "yellow"))
            if active
            else Text("no active fault", style="dim")
        )
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _waiting(self) -> list[str]:
        lines = []
        with contextlib.suppress(queue.Empty):
            while True:
                lines.append(self._lines.get_nowait())
        return lines


@contextlib.contextmanager
def live_view(plan: Plan, file: TextIO, *, quiet: bool = False) -> Iterator[LiveView]:
    """A view on `file` (stderr, usually) to be called with each event of the run; `quiet` shows nothing.

    On leaving, what waits is shown, within a second.
    """
    view = LiveView(plan.scenario.name, file, screen_of(file))
    if quiet:
        yield view
        return
    view._painter.start()  # noqa: SLF001 (the painter lives as long as this block)
    try:
        yield view
    finally:
        view._over.set()  # noqa: SLF001
        view._painter.join(_JOIN_S)  # noqa: SLF001
