"""Redaction of records before they are written: every free text in them, never the words of the format itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

__all__ = ["RedactBytes", "RedactText", "redact_batch", "redact_record"]

RedactText = Callable[[str], str]
RedactBytes = Callable[[bytes], bytes]
_Record = TypeVar("_Record", bound=msgspec.Struct)


def redact_record(record: _Record, redact: RedactText) -> _Record:
    """The record with every string in it redacted, at any depth. Enumerations and tags are words of the format and stay.

    The walk works on values, not on encoded text: a secret that holds a quote or a backslash looks different once encoded.
    """
    changed = {
        name: new for name in record.__struct_fields__ if (new := _walk(old := getattr(record, name), redact)) != old
    }
    if not changed:
        return record
    try:
        return msgspec.structs.replace(record, **changed)
    except ValueError:
        # The model refuses the redacted value, so it was one of the model's own words (a fault kind, say): no secret.
        return record


def redact_batch(payload: bytes, redact: RedactText, *, keep: int) -> bytes:
    """A msgpack batch of array records with every string redacted, save the one at index `keep` (the record's kind)."""
    records = msgspec.msgpack.decode(payload)
    cleaned = [[value if at == keep else _walk(value, redact) for at, value in enumerate(one)] for one in records]
    return msgspec.msgpack.encode(cleaned)


def _walk(value: Any, redact: RedactText) -> Any:
    # Exact types: a StrEnum is a str too, and must stay the member it is.
    if type(value) is str:
        return redact(value)
    if isinstance(value, msgspec.Struct):
        return redact_record(value, redact)
    if isinstance(value, dict):
        return {_walk(key, redact): _walk(one, redact) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_walk(one, redact) for one in value)
    return value
