"""A proxy: one listener, its upstream, its connections, its toxics. Everything but resolving an address acts at once."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Sequence

from chaos.model.link import Protocol
from chaos.proxy.address import bind_address, format_address, resolve_listen, unix_path
from chaos.proxy.chain import Chain
from chaos.proxy.connection import Connection
from chaos.proxy.errors import DataPlaneError, ListenError
from chaos.proxy.http_observer import HttpObserver
from chaos.proxy.listener import Acceptor, Listener
from chaos.proxy.nats_observer import NatsObserver
from chaos.proxy.observer import Observer
from chaos.proxy.pipe import Pipe
from chaos.proxy.postgres_observer import PostgresObserver
from chaos.proxy.server import Server
from chaos.proxy.settings import ProxySettings, ToxicSpec
from chaos.proxy.toxic import Toxic
from chaos.proxy.unix_listener import UnixListener

__all__ = ["Proxy"]

RELISTEN_NS = 50_000_000


class Proxy:
    """`listen` is the text that the API shows: as given while it was never bound, as bound afterwards."""

    def __init__(self, server: Server, settings: ProxySettings) -> None:
        self.server = server
        self.name = settings.name
        self.listen = settings.listen
        self.upstream = settings.upstream
        self.protocol: Protocol | None = settings.protocol
        self.enabled = False
        self.received = {">": 0, "<": 0}
        self.sent = {">": 0, "<": 0}
        self._listener: Acceptor | None = None
        self._connections: dict[int, Connection] = {}
        self.accepted = 0
        self.chain = Chain(
            server,
            self.name,
            self.connections,
            self._listen_or_refuse,
            protocol=self.protocol,
        )

    def __repr__(self) -> str:
        state = "enabled" if self.enabled else "disabled"
        return f"<Proxy {self.name} {self.listen} to {self.upstream} {state} connections={len(self._connections)}>"

    # Listening.

    async def start(self, toxics: Sequence[ToxicSpec] = ()) -> None:
        """Listen; the toxics are there before the first connection. All or nothing: raises ListenError, and as `add_toxic` does."""
        listener = await self._make_listener()
        added: list[Toxic] = []
        try:
            added += (self.add_toxic(spec) for spec in toxics)
            if not self.chain.refusing:
                listener.open()
        except DataPlaneError:
            listener.close()
            for toxic in added:
                self.chain.remove(toxic)
            raise
        self._listener = listener
        self.listen = listener.text
        self.enabled = True
        self.server.events.emit("proxy.started", proxy=self.name, listen=self.listen, upstream=self.upstream)

    async def _make_listener(self) -> Acceptor:
        path = self.unix(self.listen)
        if path is not None:
            return UnixListener(path, self._accepted)
        try:
            address = bind_address(*await resolve_listen(self.listen))
        except ListenError as error:
            raise ListenError(f"listen tcp: {error}") from error
        return Listener(address, self._accepted)

    async def probe(self, freed: Collection[str]) -> str | None:
        """The address that it would listen on, None for a port of the system's choice. Raises ListenError if it cannot be had.

        Bound and let go at once, unless it is among those about to be freed.
        """
        address = self.listen
        if self.unix(address) is None:
            try:
                host, port = await resolve_listen(self.listen)
            except ListenError as error:
                raise ListenError(f"listen tcp: {error}") from error
            if port == 0:
                return None
            address = format_address(*bind_address(host, port)[1])
        if address not in freed:
            (await self._make_listener()).close()
        return address

    def unix(self, address: str) -> str | None:
        """The path if that address is a unix socket's, which -strict does not know."""
        return None if self.server.options.strict else unix_path(address)

    def stop(self) -> None:
        """Stop listening and close all connections; may be called twice."""
        if self.enabled:
            self.server.events.emit("proxy.stopped", proxy=self.name)
        self.enabled = False
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self.connections():
            connection.finish("killed")

    def close(self) -> None:
        """Stop for good: the toxics end too."""
        self.stop()
        for toxic in self.toxics:
            self.remove_toxic(toxic.name)

    def _listen_or_refuse(self) -> None:
        """Do what the toxics say; a port that somebody else listens on meanwhile is tried again."""
        if self._listener is None:
            return
        if self.chain.refusing:
            self._listener.refuse()
            return
        try:
            self._listener.open()
        except ListenError:
            self.server.timers.at(time.monotonic_ns() + RELISTEN_NS, self._listen_or_refuse)

    async def differs(self, listen: str | None = None, upstream: str | None = None) -> bool:
        """Whether these are other addresses than the present ones; as in 2.12 the text shown is compared with the resolved one.

        Raises ListenError, without the prefix `listen tcp: `, also for a present text that cannot be resolved.
        """
        wanted = self.listen if listen is None else listen
        resolved = wanted if self.unix(wanted) else format_address(*await resolve_listen(wanted))
        return resolved != self.listen or (upstream is not None and upstream != self.upstream)

    async def update(
        self, *, listen: str | None = None, upstream: str | None = None, enabled: bool | None = None
    ) -> None:
        """Change what is given. Another address drops the connections and keeps the toxics. Raises ListenError."""
        wanted = self.enabled if enabled is None else enabled
        if await self.differs(listen, upstream):
            self.stop()
            self.listen = self.listen if listen is None else listen
            self.upstream = self.upstream if upstream is None else upstream
        if wanted and not self.enabled:
            await self.start()
        elif self.enabled and not wanted:
            self.stop()

    def reframe(self, protocol: Protocol | None) -> None:
        """Name another protocol: it counts for connections and toxics from now on. Toxics that mean nothing there end."""
        self.protocol = protocol
        self.chain.reframe(protocol)

    # Connections.

    def connections(self) -> tuple[Connection, ...]:
        """Those that are not gone, oldest first."""
        return tuple(self._connections.values())

    def observe(self, connection: Connection) -> Observer:
        """Who writes that connection's wire records."""
        if self.protocol is Protocol.HTTP:
            return HttpObserver(self.server.wire, self.name, connection)
        if self.protocol is Protocol.POSTGRES:
            return PostgresObserver(self.server.wire, connection)
        if self.protocol is Protocol.NATS:
            return NatsObserver(self.server.wire, connection)
        return Observer(self.server.wire, self.name, connection.number)

    def _accepted(self, client_socket: socket.socket) -> None:
        self.accepted += 1
        connection = Connection(self, self.accepted, client_socket)
        most = self.server.options.max_connections
        full = most and len(self._connections) >= most
        self._connections[connection.number] = connection
        closing = None if full else self.chain.closing(connection.number)
        if full or closing is not None:
            connection.turn_away("fin" if closing else "limit", closing.fault if closing else "")
            return
        for toxic in self.chain.active():
            connection.attach(toxic)
        taken = self.chain.at_connect(connection.number)
        if taken is None or not connection.meet(taken):
            connection.start(dial=not self.chain.silent(connection.number))
        if self.chain.message_faults:
            connection.direct()

    def count(self, pipe: Pipe) -> None:
        """Keep a closing connection's bytes."""
        self.received[pipe.direction] += pipe.received
        self.sent[pipe.direction] += pipe.sent

    def forget(self, connection: Connection) -> None:
        """Both sides of it are closed."""
        self._connections.pop(connection.number, None)

    def received_bytes(self, direction: str) -> int:
        """Bytes taken from the sender of that direction so far, live connections included."""
        return self.received[direction] + sum(pipe.received for pipe in self._live(direction))

    def sent_bytes(self, direction: str) -> int:
        """Bytes passed on in that direction so far, live connections included."""
        return self.sent[direction] + sum(pipe.sent for pipe in self._live(direction))

    def _live(self, direction: str) -> list[Pipe]:
        live = [connection for connection in self._connections.values() if not connection.closing]
        return [connection.up if direction == ">" else connection.down for connection in live]

    # Toxics.

    @property
    def toxics(self) -> tuple[Toxic, ...]:
        """Upstream ones first, each in the order of their creation; armed ones included."""
        return self.chain.all()

    def toxic(self, name: str) -> Toxic:
        """The toxic of that name. Raises ToxicNotFoundError."""
        return self.chain.get(name)

    def add_toxic(self, spec: ToxicSpec) -> Toxic:
        """Add a toxic; it takes hold of live connections at once, or at `at_ns`.

        Raises InvalidStreamError, InvalidToxicTypeError, ToxicExistsError, BadAttributesError, LeaseNotFoundError, checked in this
        order.
        """
        return self.chain.add(spec)

    def update_toxic(self, name: str, attributes: dict[str, int], toxicity: float | None = None) -> Toxic:
        """Change the attributes given and the toxicity; all or nothing. Raises ToxicNotFoundError, BadAttributesError."""
        return self.chain.update(name, attributes, toxicity)

    def remove_toxic(self, name: str, reason: str = "healed") -> None:
        """Take a toxic away; what it held goes on at once. `reason` stands in the wire log. Raises ToxicNotFoundError."""
        self.chain.remove(self.chain.get(name), reason)

    def end_lease(self, lease_id: str, reason: str) -> None:
        """Remove the toxics that live by that lease, and reset what is silent because of one that did."""
        for toxic in self.chain.all():
            if toxic.lease == lease_id:
                self.chain.remove(toxic, reason)
        self._end_silence(lambda toxic: toxic.lease == lease_id)

    def reset_toxics(self) -> None:
        """Remove all of them, and what they left behind."""
        for toxic in self.toxics:
            self.chain.remove(toxic)
        self._end_silence(lambda _: True)

    def _end_silence(self, caused: Callable[[Toxic], bool]) -> None:
        for connection in self.connections():
            causes = [toxic for toxic in connection.silenced() if caused(toxic)]
            if causes:
                connection.reset("rst", causes[0].fault)
