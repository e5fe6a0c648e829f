"""What the commands write to: a reader who goes away, or a lost terminal, ends the output and nothing else."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import signal
import stat
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["exit_with", "ignore_signals", "open_outlets", "output_failure"]

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ECONNRESET})
_PATIENCE_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Outlet(io.FileIO):
    """A file descriptor that may take no more: the rest is dropped, so that exit codes stay what they are.

    `failure` says why, unless the reader merely went away. A pipe of which nobody reads gets `patience_s` (None: for ever; nor does a
    terminal that was stopped with Ctrl-S lose a line).
    """

    failure: OSError | None = None
    patience_s: float | None = None
    _over = False

    def write(self, data: object) -> int:
        """Write, or drop it once a write has failed."""
        view = memoryview(data)  # type: ignore[arg-type]  # a buffer, as the base class has it
        try:
            if self._over or not self._takes_more():
                self._over = True
                return view.nbytes
            # A pipe that is ready takes this much without waiting (POSIX, PIPE_BUF).
            return super().write(view if self.patience_s is None else view[: select.PIPE_BUF]) or 0
        except OSError as error:
            self._over = True
            self.failure = None if error.errno in _GONE else error
            return view.nbytes

    def _takes_more(self) -> bool:
        return self.patience_s is None or bool(select.select([], [self], [], self.patience_s)[1])


def output_failure() -> OSError | None:
    """Flush standard output; why some of it was not written (a full disk), or None."""
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    return raw.failure if isinstance(raw, _Outlet) else None


def _raw(stream: TextIO | None) -> object:
    return getattr(getattr(stream, "buffer", None), "raw", None)


def open_outlets() -> None:
    """Make standard output and error safe to write to: closed ones take everything, lost ones drop it.

    Streams that somebody has put in their place (a test's capture) are left alone.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest free number: else a socket of ours would become somebody's output.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, 2)


def _replaced(stream: TextIO | None, original: TextIO | None, number: int) -> TextIO:
    if stream is not original or isinstance(_raw(stream), _Outlet):
        assert stream is not None
        return stream
    encoding, errors = getattr(stream, "encoding", "utf-8"), getattr(stream, "errors", "replace")
    raw = _Outlet(number, "w", closefd=False)
    if number == 2 and stat.S_ISFIFO(os.fstat(number).st_mode):
        raw.patience_s = _PATIENCE_S  # progress nobody reads must not keep a finished run from ending
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=number == 2 or raw.isatty()
    )


@contextlib.contextmanager
def exit_with(code: int) -> Iterator[None]:
    """While the block tells the result, a signal ends the process with that result's exit code."""

    def leave(*_: object) -> None:
        os._exit(code)

    before = {}
    with contextlib.suppress(ValueError):  # not the main thread: signals are the host program's affair
        before = {one: signal.signal(one, leave) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def ignore_signals() -> None:
    """The exit code is decided: nothing may change it while the interpreter ends."""
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
