"""The few things that are read out of PostgreSQL's answers: command tags, SQLSTATEs, names."""

from __future__ import annotations

import re

__all__ = ["reply_tag", "reply_text", "sqlstate"]

_CODE = re.compile(rb"(?:\A|\x00)C([0-9A-Z]{5})\x00")
_TEXT_CHARS = 100


def reply_text(data: bytes, start: int, seen: int) -> str:
    """The string that ends with a zero byte."""
    stop = data.find(0, start, seen)
    return data[start : seen if stop < 0 else stop].decode("utf-8", "replace")[:_TEXT_CHARS]


def reply_tag(data: bytes, start: int, seen: int) -> str:
    """A command tag such as `INSERT 0 1`."""
    return reply_text(data, start, seen) or "ok"


def sqlstate(data: bytes, start: int, seen: int) -> str:
    """The SQLSTATE of an ErrorResponse (section 54.8): field `C`, which no other field's text can pass for; XX000 without one."""
    match = _CODE.search(data[start:seen])
    return match[1].decode() if match else "XX000"
