"""Routes that look at what is going on: the list of connections and their end, and the event stream."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from chaos.proxy.api.messages import Reply, Request, error_reply, plain_json
from chaos.proxy.api.routing import Route
from chaos.proxy.connection import Connection
from chaos.proxy.pipe import Seat
from chaos.proxy.registry import Registry

__all__ = ["Live"]

_LINES = (("Content-Type", "application/x-ndjson"), ("Cache-Control", "no-store"))


class Live:
    """Handlers of `/chaos/connections`, `/chaos/connections/{}` and `/chaos/events`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def routes(self) -> tuple[Route, ...]:
        """The table of these routes."""
        return (
            ("/chaos/connections", {"GET": self._connections, "DELETE": self._kill_all}),
            ("/chaos/connections/{}", {"GET": self._show, "DELETE": self._kill}),
            ("/chaos/events", {"GET": self._events}),
        )

    async def _connections(self, request: Request) -> Reply:
        """All connections, or with `?proxy=NAME` those of one proxy, oldest first."""
        now_ns = time.monotonic_ns()
        return plain_json(200, [_shape(one, now_ns) for one in self._of(request.asked("proxy"))])

    async def _show(self, request: Request) -> Reply:
        found = self._find(request.params[0])
        return _unknown(request) if found is None else plain_json(200, _shape(found, time.monotonic_ns()))

    async def _kill(self, request: Request) -> Reply:
        """End one connection, after what is written to it (`how=fin`, the default) or at once with an RST (`how=rst`)."""
        end = _ending(request)
        if end is None:
            return _bad_ending()
        found = self._find(request.params[0])
        if found is None:
            return _unknown(request)
        _end(found, end)
        return Reply(status=204)

    async def _kill_all(self, request: Request) -> Reply:
        """End every connection of one proxy: `?proxy=NAME`."""
        name, end = request.asked("proxy"), _ending(request)
        if end is None:
            return _bad_ending()
        if not name:
            return error_reply(400, "say whose connections: DELETE /chaos/connections?proxy=NAME")
        ended = self._of(name)
        for connection in ended:
            _end(connection, end)
        return plain_json(200, {"ended": len(ended)})

    async def _events(self, _request: Request) -> Reply:
        return Reply(status=200, headers=_LINES, stream=self._lines())

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        with self._registry.server.events.subscribe() as lines:
            async for line in lines:
                yield line

    def _of(self, name: str | None) -> list[Connection]:
        proxies = self._registry.proxies() if name is None else (self._registry.get(name),)
        found = [one for proxy in proxies for one in proxy.connections() if not one.closing]
        return sorted(found, key=lambda one: one.id)

    def _find(self, text: str) -> Connection | None:
        return next((one for one in self._of(None) if str(one.id) == text), None)


def _shape(connection: Connection, now_ns: int) -> dict[str, Any]:
    up, down = connection.up, connection.down
    return {
        "id": connection.id,
        "proxy": connection.proxy.name,
        "connection": connection.number,
        "client": connection.peer,
        "upstream": connection.proxy.upstream,
        "state": connection.state,
        "age_ms": (now_ns - connection.opened_ns) / 1e6,
        "received_bytes": {"upstream": up.received, "downstream": down.received},
        "sent_bytes": {"upstream": up.sent, "downstream": down.sent},
        "held_bytes": {"upstream": up.held, "downstream": down.held},
        "toxics": sorted({name for pipe in (up, down) for seat in pipe.seats for name in _names(connection, seat)}),
    }


def _names(connection: Connection, seat: Seat) -> list[str]:
    """Whose seat it is: a toxic's, or that of all message faults."""
    return [seat.toxic.name] if seat.toxic.name else [toxic.name for toxic in connection.proxy.chain.message_faults]


def _ending(request: Request) -> str | None:
    how = request.asked("how") or "fin"
    return how if how in ("fin", "rst") else None


def _bad_ending() -> Reply:
    return error_reply(400, "how must be fin or rst")


def _end(connection: Connection, how: str) -> None:
    if how == "rst":
        connection.reset("killed")
    else:
        connection.finish("killed")


def _unknown(request: Request) -> Reply:
    return error_reply(404, f"connection {request.params[0][:40]} not found; it ended, or never was")
