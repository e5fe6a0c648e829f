"""Files that only grow: each append reaches the operating system before it returns, or leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from chaos.errors import JournalError

__all__ = ["AppendOnly"]


class AppendOnly:
    """A new file opened with O_APPEND and no buffer of ours, so that a SIGKILL loses nothing that was acknowledged."""

    def __init__(self, path: Path) -> None:
        """Create the file. Raises JournalError if it is there already or cannot be made."""
        self.path = path
        self.nbytes = 0
        try:
            self._fd: int | None = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
        except FileExistsError:
            raise JournalError(f"{path}: a run was recorded here already; record each run in a new folder") from None
        except OSError as error:
            raise JournalError(f"{path}: cannot be made ({error.strerror}); check the folder and its rights") from error

    def __repr__(self) -> str:
        return f"<AppendOnly {self.path.name} {self.nbytes} bytes>"

    def append(self, data: bytes) -> None:
        """Append all of it. Raises JournalError when the system does not take it; what it took of it is cut off again."""
        if self._fd is None:
            raise JournalError(f"{self.path}: is closed; write before the end of the run")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # a reader survives a torn tail as well
                os.ftruncate(self._fd, self.nbytes)
            raise JournalError(f"{self.path}: cannot be written ({error.strerror}); is the disk full?") from error
        self.nbytes += len(data)

    def close(self) -> None:
        """Close the file, once; later appends fail."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
