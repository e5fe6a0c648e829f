"""Routes of toxics. The order of checks is 2.12's: proxy, JSON, stream, type, name, attributes."""

from __future__ import annotations

from chaos.proxy.api.bodies import decode_attributes, decode_toxic
from chaos.proxy.api.gojson import BodyError
from chaos.proxy.api.messages import Reply, Request, json_reply
from chaos.proxy.api.shapes import toxic_shape
from chaos.proxy.api.specs import to_spec
from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry
from chaos.proxy.toxic import Toxic

__all__ = ["Toxics"]


class Toxics:
    """Handlers of `/proxies/{}/toxics` and `/proxies/{}/toxics/{}`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def index(self, request: Request) -> Reply:
        """A proxy's toxics, upstream ones first, each in the order of the chain."""
        return json_reply(200, [toxic_shape(toxic) for toxic in self._registry.get(request.params[0]).toxics])

    async def create(self, request: Request) -> Reply:
        """A new toxic at the end of the chain; it acts on live connections at once, or when it was asked to."""
        proxy = self._registry.get(request.params[0])
        spec = to_spec(decode_toxic(request.body), [toxic.name for toxic in proxy.toxics])
        return json_reply(200, toxic_shape(proxy.add_toxic(spec)))

    async def show(self, request: Request) -> Reply:
        """One toxic."""
        return json_reply(200, toxic_shape(self._find(request)[1]))

    async def update(self, request: Request) -> Reply:
        """Merge attributes, change toxicity, nothing else; all of it or, when refused, nothing (with -strict: what came first)."""
        proxy, toxic = self._find(request)
        body = decode_toxic(request.body)
        try:
            attributes = decode_attributes(body.attributes, toxic.type, toxic.attributes.__struct_fields__)
        except BodyError as error:
            if self._registry.server.options.strict:
                proxy.update_toxic(toxic.name, dict(error.decoded))
            raise
        return json_reply(200, toxic_shape(proxy.update_toxic(toxic.name, attributes, body.toxicity)))

    async def delete(self, request: Request) -> Reply:
        """End a toxic; never waits for a peer."""
        proxy, toxic = self._find(request)
        proxy.remove_toxic(toxic.name)
        return Reply(status=204)

    def _find(self, request: Request) -> tuple[Proxy, Toxic]:
        proxy = self._registry.get(request.params[0])
        return proxy, proxy.toxic(request.params[1])
