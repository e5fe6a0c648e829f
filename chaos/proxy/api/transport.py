"""HTTP/1.1 for the control API: h11 over asyncio streams, with a deadline on everything a client may leave undone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus

import h11

from chaos.proxy.api.messages import Reply, Request, error_reply, text_reply

__all__ = ["MAX_BODY", "App", "serve_http", "stop_accepting"]

App = Callable[[Request], Awaitable[Reply]]

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a request's body: some ten thousand proxies; decoding more would hold up the data plane."""

_IDLE_S = 60.0
_READ_S = 15.0
_WRITE_S = 30.0
_LINGER_S = 2.0
_TURNS_OF_AN_ACCEPT = 4  # accepted, made a transport, told to the protocol, and one to spare
_PLAIN_BYTES = 2048  # Go sends bodies above this size chunked
_BODILESS = (204, 304)


@asynccontextmanager
async def serve_http(app: App, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` on an address and yield the one that it is; connections end with the context. Raises OSError."""
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: the one that streams would make logs its own cancellation as an error.
        task = asyncio.ensure_future(_Connection(app, reader, writer).run())
        connections.add(task)
        task.add_done_callback(connections.discard)
        task.add_done_callback(
            lambda _task: writer.close()
        )  # one cancelled before its first step closes nothing itself

    server = await asyncio.start_server(accept, host, port, backlog=512)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        await stop_accepting(server)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)  # each closes its transport
        await server.wait_closed()


async def stop_accepting(server: asyncio.Server) -> None:
    """Close a server once what its loop has accepted is in the hands of its callback.

    Closed before, asyncio loses such a connection: it fails to make its transport, closes nothing, and the client waits for ever.
    """
    loop = asyncio.get_running_loop()
    try:
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
        for _ in range(_TURNS_OF_AN_ACCEPT):
            await asyncio.sleep(0)
    finally:
        server.close()


class _Connection:
    """One client: requests one after the other until it or HTTP says that it is over."""

    def __init__(self, app: App, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._app = app
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Serve until the end; a client that breaks HTTP is told so, one that is gone or silent is left."""
        try:
            while await self._serve_one():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            with suppress(OSError, TimeoutError, h11.LocalProtocolError):
                await self._send(text_reply(error.error_status_hint, "400 Bad Request"), "GET", close=True)
        except (OSError, TimeoutError):
            self._writer.transport.abort()  # the client is gone or does not speak; there is nobody to tell
        finally:
            self._writer.close()

    async def _serve_one(self) -> bool:
        async with asyncio.timeout(_IDLE_S):
            event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False
        async with asyncio.timeout(_READ_S):
            body = await self._body()
        method = event.method.decode("ascii")
        if body is None:
            await self._send(error_reply(413, f"request body above {MAX_BODY} bytes; send less"), method, close=True)
            await self._linger()
            return False
        reply = await self._app(
            Request(
                method=method,
                target=event.target.decode("ascii"),
                headers={name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers},
                body=body,
            )
        )
        await self._send(reply, method)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _body(self) -> bytes | None:
        """The whole body, or None if it is too long."""
        pieces: list[bytes] = []
        size = 0
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        while isinstance(event := await self._next_event(), h11.Data):
            size += len(event.data)
            if size > MAX_BODY:
                return None
            pieces.append(bytes(event.data))
        return b"".join(pieces)

    async def _linger(self) -> None:
        """Let a client that is still sending read its answer: closing on unread bytes would reset the connection."""
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while await self._reader.read(65_536):
                    pass

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65_536))
        return event  # type: ignore[return-value]  # NEED_DATA has been read away

    async def _send(self, reply: Reply, method: str, *, close: bool = False) -> None:
        chunked = reply.stream is not None or len(reply.body) > _PLAIN_BYTES
        headers = [*reply.headers, ("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()))]
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif reply.status not in _BODILESS and method != "HEAD":
            headers.append(("Content-Length", str(len(reply.body))))
        if close:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(reply.status).phrase.encode()
        head = h11.Response(status_code=reply.status, headers=headers, reason=reason)
        data = self._http.send(head) or b""
        if method == "HEAD":
            data = data.replace(b"Transfer-Encoding: chunked\r\n", b"")  # h11's idea, not Go's
        if reply.stream is not None:
            await self._write(data)
            await self._send_stream(reply.stream)
            return
        if reply.body and method != "HEAD":
            data += self._http.send(h11.Data(data=reply.body)) or b""
        await self._write(data + (self._http.send(h11.EndOfMessage()) or b""))

    async def _send_stream(self, stream: AsyncGenerator[bytes, None]) -> None:
        """Pass a stream on until it ends or the client leaves; a client that leaves ends it at once."""
        sending = asyncio.ensure_future(self._pump(stream))
        leaving = asyncio.ensure_future(self._reader.read(1))  # a subscriber has nothing more to say
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and sending.exception() is None:
            await self._write(self._http.send(h11.EndOfMessage()))
        self._writer.close()

    async def _pump(self, stream: AsyncGenerator[bytes, None]) -> None:
        async with aclosing(stream):
            async for data in stream:
                self._writer.write(self._http.send(h11.Data(data=data)) or b"")
                await self._writer.drain()  # a reader may stop for seconds: the wire log waits for it, within its bound

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        async with asyncio.timeout(_WRITE_S):
            await self._writer.drain()
