"""A unix socket that can refuse without giving its path away, and never takes a path from somebody who listens on it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaos.proxy.address import UNIX, bind_words
from chaos.proxy.errors import ListenError
from chaos.proxy.listener import BACKLOG, Acceptor

__all__ = ["UnixListener"]


class UnixListener(Acceptor):
    """Bound on construction (raises ListenError). A bound socket that does not listen refuses connects and keeps the path."""

    def __init__(self, path: str, accepted: Callable[[socket.socket], None]) -> None:
        super().__init__(accepted)
        self._path = path
        self._file: tuple[int, int] | None = None
        self._bound: socket.socket | None = self._bind()

    @property
    def text(self) -> str:
        """`unix:PATH` as it was asked for."""
        return UNIX + self._path

    def open(self) -> None:
        """Accept connections. Raises ListenError."""
        if self._socket is None:
            bound, self._bound = self._bound or self._bind(), None
            bound.listen(BACKLOG)
            self._watch(bound)

    def refuse(self) -> None:
        """Refuse connections, keep the path."""
        self._stop()
        if self._bound is None:
            # Somebody put something else on the path meanwhile: it is theirs, and we do not answer there anyway.
            with suppress(ListenError):
                self._bound = self._bind()

    def close(self) -> None:
        """Refuse connections and remove the socket's file, if it still is ours."""
        self._stop()
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        if self._file is not None and self._file == _identity(self._path):
            Path(self._path).unlink()
        self._file = None

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            _clear(self._path, self._file)
            sock.bind(self._path)
            self._file = _identity(self._path)
        except (OSError, ValueError) as error:
            sock.close()
            words = bind_words(error) if isinstance(error, OSError) else str(error)
            raise ListenError(f"listen unix {self._path}: bind: {words}") from error
        return sock


def _clear(path: str, ours: tuple[int, int] | None) -> None:
    """Remove a socket file on which nobody listens; anything else stays, and OSError says that the path is taken."""
    found = _identity(path)
    if found is None:
        return
    if found != ours and (not stat.S_ISSOCK(os.lstat(path).st_mode) or _is_served(path)):
        raise OSError(errno.EADDRINUSE, "address already in use")
    Path(path).unlink()


def _is_served(path: str) -> bool:
    """Whether somebody listens; whatever is not a plain refusal counts as somebody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
