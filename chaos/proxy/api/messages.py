"""Requests and replies of the control API, as plain data."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qs

import msgspec

from chaos.proxy.api.gojson import dump

__all__ = ["JSON", "TEXT", "Reply", "Request", "error_reply", "json_reply", "plain_json", "text_reply"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_NOSNIFF = ("X-Content-Type-Options", "nosniff")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `path` is decoded, `params` are its named segments, header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    params: tuple[str, ...] = ()

    def asked(self, name: str) -> str | None:
        """The last value of a name in the target's query, None without one."""
        values = parse_qs(self.target.partition("?")[2], keep_blank_values=True).get(name)
        return None if values is None else values[-1]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply. `stream` follows the head instead of `body`, without end until the client leaves."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncGenerator[bytes, None] | None = None


def json_reply(status: int, value: Any) -> Reply:
    """A reply whose body is JSON in Go's spelling."""
    return Reply(status=status, body=dump(value).encode(), headers=(("Content-Type", JSON),))


def plain_json(status: int, value: Any) -> Reply:
    """A reply of ours, which no client of Toxiproxy reads: JSON as everybody writes it."""
    return Reply(status=status, body=msgspec.json.encode(value), headers=(("Content-Type", JSON),))


def text_reply(status: int, text: str) -> Reply:
    """What Go's `http.Error` sends: the text, a line end, and no sniffing."""
    return Reply(status=status, body=f"{text}\n".encode(), headers=(("Content-Type", TEXT), _NOSNIFF))


def error_reply(status: int, message: str, **more: Any) -> Reply:
    """An error in Toxiproxy's form, which is JSON that calls itself plain text."""
    return text_reply(status, dump({"error": message, "status": status, **more}))
