"""HTTP/1.1 for plain workloads: h11 on a bare connection. No retries, no redirects, no proxies from the environment."""

from __future__ import annotations

import time
from dataclasses import dataclass

import h11

from chaos.model.operation import Answer
from chaos.workloads.answers import driver_failure, http_answer
from chaos.workloads.call import Call
from chaos.workloads.sockets import MAX_ANSWER_BYTES, Dialer, TooLongError, Wire, broken, unreachable

__all__ = ["WireReply", "exchange"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """A whole response, or (without a status) what went wrong instead.

    `content_type` is without parameters, in lower case; `head` holds the headers, one per line, names in lower case.
    """

    answer: Answer
    status: int | None = None
    content_type: str = ""
    head: str = ""
    body: bytes = b""


async def exchange(call: Call, dialer: Dialer, request: h11.Request, body: bytes) -> WireReply:
    """Send a request and read the whole answer, on a kept connection if there is one; failures at the driver are answers too."""
    wire: Wire | None = None
    try:
        wire = await dialer.dial()
    except OSError as error:
        call.ended()
        return WireReply(answer=unreachable(error))
    connection = h11.Connection(h11.CLIENT)
    try:
        wire.send(_bytes_of(connection, request, body))
        response, content = await _read(call, wire, connection)
    except h11.RemoteProtocolError as error:
        call.ended()
        return WireReply(answer=driver_failure("protocol", str(error)))
    except (EOFError, OSError, TooLongError) as error:
        call.ended()
        return WireReply(answer=broken(error))
    else:
        call.ended()
        if _reusable(connection):
            dialer.keep(wire)
            wire = None
        return _reply(response, content)
    finally:
        if wire is not None:
            wire.close()


def _bytes_of(connection: h11.Connection, request: h11.Request, body: bytes) -> bytes:
    sent = connection.send(request) or b""
    if body:
        sent += connection.send(h11.Data(data=body)) or b""
    return sent + (connection.send(h11.EndOfMessage()) or b"")


async def _read(call: Call, wire: Wire, connection: h11.Connection) -> tuple[h11.Response, bytes]:
    """The final response and its whole body. Raises what Wire raises, and h11.RemoteProtocolError for what is no HTTP."""
    response: h11.Response | None = None
    body = bytearray()
    while True:
        event = _next_event(connection)
        if event is h11.NEED_DATA:
            await _feed(call, wire, connection)
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER_BYTES:
                raise TooLongError
        elif isinstance(event, h11.EndOfMessage):
            assert response is not None
            return response, bytes(body)
        elif not isinstance(event, h11.InformationalResponse):
            raise EOFError


def _next_event(connection: h11.Connection) -> type[h11.NEED_DATA | h11.PAUSED] | h11.Event:
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        if connection.trailing_data[1]:  # the peer closed: not its grammar is wrong, the rest is missing
            raise EOFError from error
        raise


async def _feed(call: Call, wire: Wire, connection: h11.Connection) -> None:
    try:
        data = await wire.read()
    except EOFError:
        if connection.their_state is not h11.SEND_BODY:
            raise
        data = b""  # the end of a body without a length; for any other h11 knows that it is cut
    else:
        call.received()
    connection.receive_data(data)


def _reusable(connection: h11.Connection) -> bool:
    done = connection.our_state is h11.DONE and connection.their_state is h11.DONE
    return done and connection.trailing_data == (b"", False)


def _reply(response: h11.Response, body: bytes) -> WireReply:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
    named = dict(headers)
    content_type = named.get("content-type", "")
    answer = http_answer(
        response.status_code,
        content_type,
        body,
        retry_after=named.get("retry-after"),
        wall_s=time.time(),
    )
    head = "\n".join(f"{name}: {value}" for name, value in headers)
    return WireReply(
        answer=answer,
        status=response.status_code,
        content_type=content_type.partition(";")[0].strip().lower(),
        head=head,
        body=body,
    )
