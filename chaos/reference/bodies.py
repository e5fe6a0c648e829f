"""What stands in requests and answers: read with a typed check, written with or without the envelope."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from chaos.reference import envelope, problems

__all__ = ["idempotency_key", "plain", "read", "read_plain", "reply"]

Data = TypeVar("Data")


async def read(request: Request, message_type: str, data_type: type[Data]) -> Data:
    """The data of the request's envelope; raises Problem 422."""
    try:
        return envelope.decode(await request.body(), message_type, data_type)
    except envelope.EnvelopeError as error:
        raise problems.invalid_request(str(error)) from error


async def read_plain(request: Request, data_type: type[Data]) -> Data:
    """The request's body without an envelope (OpenAI-compatible routes); raises Problem 422."""
    try:
        return msgspec.json.decode(await request.body(), type=data_type)
    except msgspec.MsgspecError as error:
        raise problems.invalid_request(str(error)) from error


def reply(message_type: str, data: msgspec.Struct, *, status: int = 200) -> Response:
    """An answer in an envelope."""
    return Response(envelope.encode(message_type, data), status, media_type="application/json")


def plain(data: msgspec.Struct) -> Response:
    """An answer without an envelope."""
    return Response(msgspec.json.encode(data), media_type="application/json")


def idempotency_key(request: Request) -> str:
    """The key every write must carry; raises Problem 422."""
    key = request.headers.get("idempotency-key", "")
    if not 1 <= len(key) <= 200:
        raise problems.invalid_request("the header Idempotency-Key is required, with 1 to 200 characters")
    return key
