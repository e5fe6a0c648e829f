"""Envelopes of the reference backend: `{"schema_version": 1, "message_type": ..., "data": {...}}`, and what is wrong with one."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from chaos.model.operation import Unmet
from chaos.workloads.answers import excerpt

__all__ = ["SCHEMA_VERSION", "error_body", "pack", "read_json", "unpack"]

SCHEMA_VERSION = 1
_Shape = TypeVar("_Shape", bound=msgspec.Struct)


def pack(message_type: str, data: dict[str, Any]) -> bytes:
    """The JSON envelope of a message."""
    return msgspec.json.encode({"schema_version": SCHEMA_VERSION, "message_type": message_type, "data": data})


def read_json(body: bytes) -> Any:
    """The decoded value, or an Unmet for what is no JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unmet(check="body", expected="a JSON document", seen=excerpt(body) or "an empty body")


def unpack(body: bytes, message_type: str, shape: type[_Shape]) -> _Shape | Unmet:
    """The data of an ok answer's envelope, or the first thing about it that is not as declared."""
    value = read_json(body)
    if isinstance(value, Unmet):
        return value
    error = error_body(value)
    if error is not None:
        return error
    if (
        not isinstance(value, dict)
        or value.get("message_type") != message_type
        or value.get("schema_version") != SCHEMA_VERSION
    ):
        return Unmet(
            check="message-type", expected=f"{message_type} version {SCHEMA_VERSION}", seen=_heading(value, body)
        )
    try:
        return msgspec.convert(value.get("data"), shape)
    except msgspec.ValidationError as wrong:
        return Unmet(check="shape", expected=f"data of {message_type}", seen=excerpt(str(wrong)))


def error_body(value: Any) -> Unmet | None:
    """An error that hides under an ok status: an `error` member, a problem object, or a `problem` envelope."""
    inner = value.get("data") if isinstance(value, dict) else None
    if any(_is_error(one) for one in (value, inner)) or (
        isinstance(value, dict) and value.get("message_type") == "problem"
    ):
        return Unmet(
            check="error-body", expected="no error under an ok status", seen=excerpt(msgspec.json.encode(value))
        )
    return None


def _is_error(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return bool(value.get("error")) or ({"status", "title"} <= value.keys() and not {"text", "choices"} & value.keys())


def _heading(value: Any, body: bytes) -> str:
    if not isinstance(value, dict) or "message_type" not in value:
        return excerpt(body)
    return excerpt(f"{value['message_type']} version {value.get('schema_version')}")
