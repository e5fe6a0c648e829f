"""Routes of proxies: create, show, update, delete, and the reset of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.proxy.api.bodies import decode_proxy, to_settings
from chaos.proxy.api.messages import Reply, Request, json_reply
from chaos.proxy.api.shapes import proxy_shape
from chaos.proxy.api.specs import to_specs
from chaos.proxy.registry import Registry
from chaos.proxy.settings import ToxicSpec

__all__ = ["Proxies", "asked_toxics"]

_CHANGEABLE = ("listen", "upstream", "enabled")


def asked_toxics(registry: Registry, request: Request, members: Mapping[str, Any]) -> tuple[ToxicSpec, ...]:
    """The toxics of a proxy's body with `?toxics=1`; clients of Toxiproxy post back what they were shown, and mean nothing by it."""
    wanted = request.asked("toxics") in ("1", "true") and not registry.server.options.strict
    return to_specs(members.get("toxics")) if wanted else ()


class Proxies:
    """Handlers of `/proxies`, `/proxies/{}` and `/reset`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def index(self, _request: Request) -> Reply:
        """All proxies by name, sorted."""
        shapes = {proxy.name: proxy_shape(proxy) for proxy in self._registry.proxies()}
        return json_reply(200, dict(sorted(shapes.items())))

    async def create(self, request: Request) -> Reply:
        """A new proxy; nothing is kept of one that cannot listen. Its body's toxics count when the request asks for them."""
        members = decode_proxy(request.body)
        settings = to_settings(members, asked_toxics(self._registry, request, members))
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
