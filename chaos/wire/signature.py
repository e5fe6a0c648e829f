"""Operation signatures of HTTP: the method and the route, with everything that looks like an identifier folded."""

from __future__ import annotations

import re

__all__ = ["http_signature"]

_IDENTIFIER = re.compile(
    r"""
      \d+                                             # 42
    | [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}     # a UUID
    | (?=[a-f]*\d)[0-9a-f]{8,}                        # a hexadecimal number
    | [a-z]+[-_:](?:\d+|(?=[a-f]*\d)[0-9a-f]{6,})     # doc-17, task_3fa94c01
    | (?=[^\d]*\d)[0-9a-z_~.:-]{20,}                  # ULID, KSUID, base64url: long, with a digit
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CACHE_LIMIT = 4096
_cache: dict[tuple[bytes, bytes], str] = {}


def http_signature(method: bytes, target: bytes) -> str:
    """`POST /v1/documents/{id}` of a request line's method and target (RFC 9112, section 3.2); the query is left out.

    Answers are kept for the first few thousand distinct targets; then the memory of them starts anew.
    """
    key = (method, target)
    known = _cache.get(key)
    if known is None:
        if len(_cache) >= _CACHE_LIMIT:
            _cache.clear()
        verb = method.decode("latin-1")
        known = _cache[key] = f"{verb} {_route(verb, target.decode('latin-1'))}"
    return known


def _route(method: str, target: str) -> str:
    if method == "CONNECT":
        return target  # authority form: host:port is what tells one tunnel from another
    if not target.startswith("/"):
        _, scheme, rest = target.partition("://")
        if not scheme:
            return target  # `*`
        target = "/" + rest.partition("/")[2]
    path = target.partition("?")[0].partition("#")[0]
    return "/".join("{id}" if _IDENTIFIER.fullmatch(part) else part for part in path.split("/"))
