"""Paths to handlers, by the rules of Toxiproxy's router: cleaned paths are redirected, a wrong verb is an empty 405."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote, unquote

from chaos.proxy.api.messages import Reply, Request, text_reply

__all__ = ["Handler", "Route", "find_route"]

Handler = Callable[[Request], Awaitable[Reply]]
Route = tuple[str, Mapping[str, Handler]]
"""A path with `{}` for a segment of any name, and its handlers by verb; the verb `*` is any."""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)


def find_route(routes: Sequence[Route], method: str, target: str) -> tuple[Handler, tuple[str, ...]] | Reply:
    """The handler of a request's target and its named segments, or the reply to what matches none."""
    raw_path, mark, query = _SCHEME.sub("", target, count=1).partition("?")
    path = unquote(raw_path)
    clean = _clean(path)
    if clean != path:
        return Reply(status=301, headers=(("Location", quote(clean, safe="/:@!$&'()*+,;=~") + mark + query),))
    segments = path.split("/")
    wrong_verb = False
    for pattern, handlers in routes:
        params = _match(pattern.split("/"), segments)
        if params is None:
            continue
        handler = handlers.get(method) or handlers.get("*")
        if handler is not None:
            return handler, params
        wrong_verb = True
    return Reply(status=405) if wrong_verb else text_reply(404, "404 page not found")


def _match(pattern: Sequence[str], segments: Sequence[str]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    pairs = list(zip(pattern, segments, strict=True))
    if not all(bool(segment) if wanted == "{}" else wanted == segment for wanted, segment in pairs):
        return None
    return tuple(segment for wanted, segment in pairs if wanted == "{}")


def _clean(path: str) -> str:
    """Without empty, `.` and `..` segments; a slash at the end stays."""
    if not path:
        return "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    clean = "/" + "/".join(kept)
    return clean + "/" if path.endswith("/") and kept else clean
