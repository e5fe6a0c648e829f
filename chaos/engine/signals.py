"""SIGINT, SIGTERM and SIGHUP for as long as a run lasts, judging and reporting included: noted, and told to whoever listens."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Signals", "catch_signals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """The signals that came. While nobody listens they are kept for the next one who does."""

    def __init__(self) -> None:
        self._came: list[str] = []
        self._listener: Callable[[str], None] | None = None

    def __repr__(self) -> str:
        return f"<Signals {', '.join(self._came) or 'none'}>"

    def came(self, signo: int) -> None:
        """Note a signal; tell the listener, if there is one."""
        name = signal.Signals(signo).name
        self._came.append(name)
        if self._listener is not None:
            self._listener(name)

    @contextmanager
    def told_to(self, listener: Callable[[str], None]) -> Iterator[None]:
        """While the block runs, `listener` gets every signal, first those that came before. It is called between any two bytecodes."""
        self._listener = listener
        for name in tuple(self._came):
            listener(name)
        try:
            yield
        finally:
            self._listener = None


@contextmanager
def catch_signals() -> Iterator[Signals]:
    """Catch the signals that end a run early; outside the main thread they stay with the host program.

    A SIGHUP that is ignored already stays so: that is what `nohup` means. The handlers from before come back at the end.
    """
    signals = Signals()

    def handle(signo: int, _frame: FrameType | None) -> None:
        signals.came(signo)

    before = {}
    try:
        for signo in _SIGNALS:
            if signo is not signal.SIGHUP or signal.getsignal(signo) is not signal.SIG_IGN:
                before[signo] = signal.signal(signo, handle)
    except ValueError:  # not the main thread
        before = {}
    try:
        yield signals
    finally:
        for signo, handler in before.items():
            signal.signal(signo, handler)
