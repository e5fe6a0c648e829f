"""Routes of proxies: create, show, update, delete, and the reset of all."""

from __future__ import annotations

from chaos.proxy.api.bodies import decode_proxy, to_settings
from chaos.proxy.api.messages import Reply, Request, json_reply
from chaos.proxy.api.shapes import proxy_shape
from chaos.proxy.registry import Registry

__all__ = ["Proxies"]

_CHANGEABLE = ("listen", "upstream", "enabled")


class Proxies:
    """Handlers of `/proxies`, `/proxies/{}` and `/reset`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def index(self, _request: Request) -> Reply:
        """All proxies by name, sorted."""
        shapes = {proxy.name: proxy_shape(proxy) for proxy in self._registry.proxies()}
        return json_reply(200, dict(sorted(shapes.items())))

    async def create(self, request: Request) -> Reply:
        """A new proxy; nothing is kept of one that cannot listen."""
        settings = to_settings(decode_proxy(request.body))
        return json_reply(201, proxy_shape(await self._registry.create(settings)))

    async def show(self, request: Request) -> Reply:
        """One proxy."""
        return json_reply(200, proxy_shape(self._registry.get(request.params[0])))

    async def update(self, request: Request) -> Reply:
        """Change what the body names; the name itself cannot be changed and is ignored."""
        proxy = self._registry.get(request.params[0])
        members = decode_proxy(request.body)
        await proxy.update(**{name: members[name] for name in _CHANGEABLE if name in members})
        return json_reply(200, proxy_shape(proxy))

    async def delete(self, request: Request) -> Reply:
        """End a proxy and its connections."""
        await self._registry.remove(request.params[0])
        return Reply(status=204)

    async def reset(self, _request: Request) -> Reply:
        """Enable every proxy, remove every toxic."""
        await self._registry.reset()
        return Reply(status=204)
