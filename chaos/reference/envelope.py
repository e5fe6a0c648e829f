"""The envelope of every message of ours: `{"schema_version": 1, "message_type": "...", "data": {...}}`, as JSON."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from chaos.reference import problems

__all__ = ["EnvelopeError", "decode", "encode", "encode_problem", "open_envelope"]

SCHEMA_VERSION = 1

Data = TypeVar("Data")


class EnvelopeError(Exception):
    """The payload is no envelope of the wanted type; the text says where it is wrong and never quotes the payload."""


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int
    message_type: str
    data: msgspec.Raw


def encode(message_type: str, data: msgspec.Struct) -> bytes:
    """Wrap data for the wire."""
    return msgspec.json.encode({"schema_version": SCHEMA_VERSION, "message_type": message_type, "data": data})


def encode_problem(details: problems.ProblemDetails) -> bytes:
    """Wrap a failure for NATS, where no status line tells success and failure apart."""
    return encode("problem", details)


def open_envelope(payload: bytes) -> tuple[str, bytes]:
    """Message type and undecoded data; raises EnvelopeError, also for a schema version we do not know."""
    try:
        envelope = msgspec.json.decode(payload, type=_Envelope)
    except msgspec.MsgspecError as error:
        raise EnvelopeError(f"not an envelope: {error}") from error
    if envelope.schema_version != SCHEMA_VERSION:
        raise EnvelopeError(f"schema_version {envelope.schema_version} is unknown; this service speaks 1")
    return envelope.message_type, bytes(envelope.data)


def decode(payload: bytes, message_type: str, data_type: type[Data]) -> Data:
    """The data of an envelope of this type; raises EnvelopeError."""
    found_type, data = open_envelope(payload)
    if found_type != message_type:
        raise EnvelopeError(f"message_type is {found_type[:40]!r}, wanted {message_type!r}")
    try:
        return msgspec.json.decode(data, type=data_type)
    except msgspec.MsgspecError as error:
        raise EnvelopeError(f"data of {message_type!r}: {error}") from error
