"""Server-sent events of a whole body: just what a streamed chat answer uses (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["read_events"]


def read_events(body: bytes) -> Iterator[tuple[str, str]]:
    """Event name (`message` without one) and data of each whole event; one that a blank line does not end is discarded."""
    name, data = "", list[str]()
    for line in _lines(body):
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            yield name or "message", "\n".join(data)
        name, data = "", []


def _lines(body: bytes) -> list[str]:
    """Lines ended by CRLF, LF or CR; what no line end follows is not a line yet."""
    text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")[:-1]
