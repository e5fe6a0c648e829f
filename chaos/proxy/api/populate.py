"""POST /populate: many proxies at once, by 2.12's rules, and the same for the config file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.proxy.api.bodies import decode_populate, to_settings
from chaos.proxy.api.gojson import BodyError
from chaos.proxy.api.messages import Reply, Request, json_reply
from chaos.proxy.api.proxies import asked_toxics
from chaos.proxy.api.shapes import proxy_shape
from chaos.proxy.errors import DataPlaneError, MissingFieldError
from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry
from chaos.proxy.settings import ProxySettings

__all__ = ["Populate", "check_all", "put_proxy"]


class Populate:
    """The handler of `/populate`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def __call__(self, request: Request) -> Reply:
        """All are checked first; then one after the other, and the first failure ends it."""
        done: list[Proxy] = []
        try:
            bodies = decode_populate(request.body)
            wanted = [to_settings(members, asked_toxics(self._registry, request, members)) for members in bodies]
            check_all(wanted)
            for settings in wanted:
                done.append(await put_proxy(self._registry, settings))  # noqa: PERF401  # what was done stays on failure
        except BodyError as error:
            return _reply(400, done, {"error": f"bad request body: {error}", "status": 400})
        except DataPlaneError as error:
            return _reply(error.status, done, {"error": str(error), "status": error.status})
        return _reply(201, done, {})


def _reply(status: int, done: Sequence[Proxy], error: dict[str, Any]) -> Reply:
    return json_reply(status, {**error, "proxies": [proxy_shape(proxy) for proxy in done] or None})


def check_all(wanted: Sequence[ProxySettings]) -> None:
    """Raise MissingFieldError with the number of the first proxy, from 1, that lacks its name or upstream."""
    for number, settings in enumerate(wanted, start=1):
        for field in ("name", "upstream"):
            if not getattr(settings, field):
                raise MissingFieldError(f"{field} at proxy {number}")


async def put_proxy(registry: Registry, settings: ProxySettings) -> Proxy:
    """The proxy of that name: as it is if its addresses are these, else a new one in its place. Raises ListenError."""
    existing = {proxy.name: proxy for proxy in registry.proxies()}.get(settings.name)
    if existing is None:
        return await registry.create(settings)
    if not await existing.differs(settings.listen, settings.upstream):
        return existing
    return await registry.replace(settings)
