"""One child's log: what it writes comes through a pipe, and reaches the disk without secrets.

It outlives the conductor, so that a secret is in no log of a run that was killed. What may be the beginning of a secret is kept back until
more is read: a secret that comes in pieces is whole again before it is looked for.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["ChildLog", "Hidden"]

_MARK = b"[redacted]"
_TELLING = 6  # bytes of a secret that are worth hiding: as many as a whole one has
_FIRST = 8  # bytes that are looked for first, as one
_CHUNK = 65536
_LAST_CHUNKS = 64
"""Read of a child that has ended, whose descendants may go on writing: more than a pipe holds."""


class Hidden:
    """Bytes that no log may hold, each in every form it takes, and what they begin with."""

    def __init__(self, forms: list[str]) -> None:
        # Longest first, so that a DSN goes as a whole before its password does.
        self._forms = sorted((one.encode("utf-8", "surrogateescape") for one in forms), key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<Hidden: {len(self._forms)} forms>"

    def without(self, data: bytes) -> bytes:
        """`data` without any of them."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, _MARK)
        return data

    def border(self, data: bytes) -> int:
        """How far `data` can be looked at before more of it is there: what follows may be the beginning of one."""
        border = min((_begins(data, form) for form in self._forms), default=len(data))
        while border < len(data) and (before := self._across(data, border)) is not None:
            border = before
        return border

    def _across(self, data: bytes, border: int) -> int | None:
        """Where one begins that ends behind the border."""
        for form in self._forms:
            at = data.find(form, max(0, border - len(form) + 1), border + len(form) - 1)
            if at >= 0:
                return at
        return None


def _begins(data: bytes, form: bytes) -> int:
    """Where the longest end of `data` begins that is the beginning of `form` and not all of it. Forms may be long: a key, a whole file."""
    first = form[:_FIRST]
    at = data.find(first, max(0, len(data) - len(form) + 1))
    while at >= 0:
        if form.startswith(data[at:]):
            return at
        at = data.find(first, at + 1)
    sizes = range(min(_FIRST, len(form)) - 1, 0, -1)
    return len(data) - next((size for size in sizes if data.endswith(form[:size])), 0)


class ChildLog:
    """The reading end of a child's pipe, and its file. `ended` once nobody can write any more."""

    def __init__(self, path: str, hidden: Hidden) -> None:
        self._hidden = hidden
        self._kept = b""
        self.ended = False
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._reader, self.writer = os.pipe()
        except OSError:
            os.close(self._file)
            raise
        os.set_blocking(self._reader, False)

    def __repr__(self) -> str:
        return f"<ChildLog {'ended' if self.ended else 'open'}, {len(self._kept)} bytes kept back>"

    def fileno(self) -> int:
        """What to wait for."""
        return self._reader

    def hand_over(self) -> None:
        """The child has the writing end, or there will be none: ours goes."""
        os.close(self.writer)

    def take(self) -> bool:
        """Pass on what can be read at once; False if there was nothing."""
        try:
            data = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return False
        self.ended = not data
        self._pass_on(data)
        return not self.ended

    def finish(self) -> None:
        """Pass on what an ended child left in the pipe."""
        for _ in range(_LAST_CHUNKS):
            if self.ended or not self.take():
                break

    def close(self) -> None:
        """Write what was kept back, and end; half a secret is one. Wait for it no more."""
        last = self._hidden.without(self._kept)
        half = len(last) - self._hidden.border(last)
        self._write(last[:-half] + _MARK if half >= _TELLING else last)
        os.close(self._reader)
        os.close(self._file)

    def _pass_on(self, data: bytes) -> None:
        data = self._kept + data
        border = self._hidden.border(data)
        self._kept = data[border:]
        self._write(data[:border])

    def _write(self, data: bytes) -> None:
        data = self._hidden.without(data)
        with contextlib.suppress(OSError):  # a full disk: better no log than a child that stands still
            while data:
                data = data[os.write(self._file, data) :]
