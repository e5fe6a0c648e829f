"""The registry: all proxies of a server by name, in the order of their creation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from chaos.proxy.errors import MissingFieldError, ProxyExistsError, ProxyNotFoundError
from chaos.proxy.leases import Lease
from chaos.proxy.proxy import Proxy
from chaos.proxy.server import Server
from chaos.proxy.settings import Options, ProxySettings

__all__ = ["Registry", "open_registry"]


class Registry:
    """Use `open_registry()`, which closes everything on the way out."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._proxies: dict[str, Proxy] = {}
        server.leases.ended = self._lease_ended

    def __iter__(self) -> Iterator[Proxy]:
        return iter(self.proxies())

    def __len__(self) -> int:
        return len(self._proxies)

    def proxies(self) -> tuple[Proxy, ...]:
        """All of them, oldest first."""
        return tuple(self._proxies.values())

    def get(self, name: str) -> Proxy:
        """The proxy of that name. Raises ProxyNotFoundError."""
        try:
            return self._proxies[name]
        except KeyError:
            raise ProxyNotFoundError from None

    async def create(self, settings: ProxySettings) -> Proxy:
        """Add a proxy and start it if it is enabled; stored only when that worked.

        Raises MissingFieldError, ProxyExistsError, ListenError, and as `Proxy.add_toxic` does.
        """
        for field in ("name", "upstream"):
            if not getattr(settings, field):
                raise MissingFieldError(field)
        if settings.name in self._proxies:
            raise ProxyExistsError
        proxy = await self._make(settings)
        if settings.name in self._proxies:  # somebody was quicker while the address was resolved
            proxy.close()
            raise ProxyExistsError
        self._store(proxy)
        return proxy

    async def replace(self, settings: ProxySettings) -> Proxy:
        """Stop the proxy of that name and put a new one in its place, with no toxics but those of its settings.

        Raises ProxyNotFoundError, ListenError: then the old one stays, stopped.
        """
        old = self.get(settings.name)
        old.stop()
        proxy = await self._make(settings)
        old.close()
        self._store(proxy)
        return proxy

    async def _make(self, settings: ProxySettings) -> Proxy:
        proxy = Proxy(self.server, settings)
        for spec in settings.toxics:
            proxy.chain.check(spec)
        if settings.enabled:
            await proxy.start(settings.toxics)
        else:
            for spec in settings.toxics:
                proxy.add_toxic(spec)
        return proxy

    def _store(self, proxy: Proxy) -> None:
        self._proxies[proxy.name] = proxy
        self.server.events.emit("proxy.created", proxy=proxy.name, listen=proxy.listen, upstream=proxy.upstream)

    async def remove(self, name: str) -> None:
        """Stop a proxy, close its connections, forget it. Raises ProxyNotFoundError."""
        proxy = self.get(name)
        del self._proxies[name]
        proxy.close()
        self.server.events.emit("proxy.removed", proxy=name)

    async def reset(self) -> None:
        """Enable every proxy and remove every toxic. Raises ListenError at the first that cannot start."""
        for proxy in self.proxies():
            if not proxy.enabled:
                await proxy.start()
            proxy.reset_toxics()

    def _lease_ended(self, lease: Lease, reason: str) -> None:
        for proxy in self.proxies():
            proxy.end_lease(lease.id, reason)

    async def close(self) -> None:
        """Stop everything."""
        for proxy in self.proxies():
            proxy.close()
        self._proxies.clear()
        await self.server.close()


@asynccontextmanager
async def open_registry(options: Options | None = None) -> AsyncIterator[Registry]:
    """A registry on the running loop; on exit listeners, connections, timers and tasks are gone."""
    registry = Registry(Server(options or Options()))
    try:
        yield registry
    finally:
        await registry.close()
