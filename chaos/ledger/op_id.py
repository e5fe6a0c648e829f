"""Where a message says whose effect it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from chaos.model.effect import OpIdIn, StreamRead

__all__ = ["find_op_id"]

_CHARS = 200  # an op id is short; a store may hold anything


def find_op_id(read: StreamRead, subject: str, headers: Mapping[str, str], payload: bytes) -> str:
    """The op id of a message; empty where it names none."""
    match read.op_id_in:
        case OpIdIn.SUBJECT:
            found = _token(subject, int(read.key))
        case OpIdIn.HEADER:
            found = _header(headers, read.key)
        case OpIdIn.BAGGAGE:
            found = _member(_header(headers, "baggage"), read.key)
        case OpIdIn.JSON:
            found = _json(payload, read.key)
    return found[:_CHARS]


def _token(subject: str, number: int) -> str:
    tokens = subject.split(".")
    at = number - 1 if number > 0 else len(tokens) + number
    return tokens[at] if 0 <= at < len(tokens) else ""


def _header(headers: Mapping[str, str], name: str) -> str:
    wanted = name.lower()
    return next((str(value).strip() for key, value in headers.items() if key.lower() == wanted), "")


def _member(baggage: str, key: str) -> str:
    """W3C Baggage: `key=value;property` members between commas, values percent-encoded."""
    for member in baggage.split(","):
        name, _, value = member.partition(";")[0].partition("=")
        if name.strip() == key:
            return unquote(value.strip())
    return ""


def _json(payload: bytes, path: str) -> str:
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
