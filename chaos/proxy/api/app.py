"""The control API: Toxiproxy 2.12's routes with ours beside them, one table, and what every matched route has in common."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import os
from urllib.parse import urlsplit

import msgspec

from chaos.proxy.api.extension import Extension, Reload
from chaos.proxy.api.gojson import BodyError
from chaos.proxy.api.live import Live
from chaos.proxy.api.messages import Reply, Request, error_reply, text_reply
from chaos.proxy.api.metrics import metrics_text
from chaos.proxy.api.populate import Populate
from chaos.proxy.api.proxies import Proxies
from chaos.proxy.api.routing import Handler, Route, find_route
from chaos.proxy.api.toxics import Toxics
from chaos.proxy.errors import DataPlaneError
from chaos.proxy.registry import Registry

__all__ = ["VERSION", "ControlApi"]

VERSION = "2.12.0"
"""The version of Toxiproxy whose API this is; clients decide by it which verbs to use."""

_DEADLINE_S = 25.0
_VERSION_BODY = f'{{"version": "{VERSION}"}}\n'.encode()
_VERSION_TYPE = (("Content-Type", "application/json;charset=utf-8"),)
_METRICS_TYPE = (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),)
_log = logging.getLogger("chaos.proxy.api")


class ControlApi:
    """Answers requests about one registry. `loopback_only` refuses a Host that is not this machine's loopback.

    `reload` reads the config file again and answers what changed.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        loopback_only: bool = False,
        proxy_metrics: bool = False,
        runtime_metrics: bool = False,
        reload: Reload | None = None,
    ) -> None:
        self._registry = registry
        self._loopback_only = loopback_only
        self._runtime_metrics = runtime_metrics
        proxies, toxics = Proxies(registry), Toxics(registry)
        self._routes: list[Route] = [
            ("/version", {"GET": self._version}),
            ("/proxies", {"GET": proxies.index, "POST": proxies.create}),
            (
                "/proxies/{}",
                {"GET": proxies.show, "POST": proxies.update, "PATCH": proxies.update, "DELETE": proxies.delete},
            ),
            ("/proxies/{}/toxics", {"GET": toxics.index, "POST": toxics.create}),
            (
                "/proxies/{}/toxics/{}",
                {"GET": toxics.show, "POST": toxics.update, "PATCH": toxics.update, "DELETE": toxics.delete},
            ),
            ("/populate", {"POST": Populate(registry)}),
            ("/reset", {"POST": proxies.reset}),
            *Extension(registry, reload).routes(),
            *Live(registry).routes(),
        ]
        if proxy_metrics or runtime_metrics:
            self._routes.append(("/metrics", {"*": self._metrics}))

    async def __call__(self, request: Request) -> Reply:
        """The reply to a request; an error of ours is a reply too."""
        if self._loopback_only and not _names_loopback(request.headers.get("host", "")):
            return text_reply(403, "Host not allowed: this API is bound to loopback; address it as 127.0.0.1")
        found = find_route(self._routes, request.method, request.target)
        if isinstance(found, Reply):
            return found
        handler, params = found
        reply = await self._answer(handler, msgspec.structs.replace(request, params=params))
        return msgspec.structs.replace(reply, headers=(*reply.headers, ("X-Toxiproxy-Request-Id", _request_id())))

    async def _answer(self, handler: Handler, request: Request) -> Reply:
        if _is_browser(request):
            return text_reply(403, "User agent not allowed")
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await handler(request)
        except BodyError as error:
            return error_reply(400, f"bad request body: {error}")
        except DataPlaneError as error:
            return error_reply(error.status, str(error))
        except TimeoutError:
            return error_reply(503, f"not done within {_DEADLINE_S:.0f} s; read back what became of it")
        except Exception as error:  # noqa: BLE001  # one request must never end the process that every link depends on
            _log.exception("request failed: %s %s", request.method, request.target)
            return error_reply(500, f"internal error: {type(error).__name__}; the proxy's log has it in full")

    async def _version(self, _request: Request) -> Reply:
        return Reply(status=200, body=_VERSION_BODY, headers=_VERSION_TYPE)

    async def _metrics(self, _request: Request) -> Reply:
        text = metrics_text(self._registry, runtime=self._runtime_metrics)
        return Reply(status=200, body=text.encode(), headers=_METRICS_TYPE)


def _is_browser(request: Request) -> bool:
    """As 2.12 tells it, or by a header that only browsers send and no page can leave out."""
    return request.headers.get("user-agent", "").startswith("Mozilla/") or "sec-fetch-site" in request.headers


def _names_loopback(host: str) -> bool:
    """Whether a Host header names this machine itself; a name that an attacker's DNS rebinds does not (nor does none)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _request_id() -> str:
    return base64.b32hexencode(os.urandom(13))[:20].decode().lower()
