"""What the commands write to: a reader who goes away, or a lost terminal, ends the output and nothing else."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["exit_with", "ignore_signals", "open_outlets", "output_failure"]

_GONE = frozenset({errno.EPIPE, errno.EIO, errno.ECONNRESET})
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Outlet(io.FileIO):
    """A file descriptor that may take no more: the rest is dropped, so that exit codes stay what they are.

    `failure` says why, unless the reader merely went away.
    """

    failure: OSError | None = None
    _over = False

    def write(self, data: object) -> int:
        """Write, or drop it once a write has failed."""
        view = memoryview(data)  # type: ignore[arg-type]  # a buffer, as the base class has it
        try:
            return view.nbytes if self._over else super().write(view) or 0
        except OSError as error:
            self._over = True
            self.failure = None if error.errno in _GONE else error
            return view.nbytes


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
            os.open(
                os.devnull, os.O_RDWR
            )  # the lowest free number: else a socket of ours would become somebody's output
    sys.stdout = _replaced(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _replaced(sys.stderr, sys.__stderr__, 2)


def _replaced(stream: TextIO | None, original: TextIO | None, number: int) -> TextIO:
    if stream is not original or isinstance(_raw(stream), _Outlet):
        assert stream is not None
        return stream
    encoding, errors = getattr(stream, "encoding", "utf-8"), getattr(stream, "errors", "replace")
    raw = _Outlet(number, "w", closefd=False)
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
