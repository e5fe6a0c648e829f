"""What replies look like: members in 2.12's order, extensions only where a request used them."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos.proxy.api.bodies import TOXIC_EXTENSIONS
from chaos.proxy.proxy import Proxy
from chaos.proxy.toxic import Toxic

__all__ = ["proxy_shape", "toxic_shape"]


def toxic_shape(toxic: Toxic) -> dict[str, Any]:
    """A toxic; members and attributes that Toxiproxy does not have where they were given."""
    shape = {
        "attributes": _attributes(toxic),
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.stream,
        "toxicity": float(toxic.toxicity),
    }
    for name in TOXIC_EXTENSIONS:
        value = getattr(toxic.spec, name)
        if value is not None and value != "":
            shape[name] = int(value) if name.endswith("_ms") and value == int(value) else value
    return shape


def _attributes(toxic: Toxic) -> dict[str, int]:
    shown: dict[str, int] = msgspec.structs.asdict(toxic.attributes)
    return {name: value for name, value in shown.items() if value or name not in toxic.attributes.extensions}


def proxy_shape(proxy: Proxy) -> dict[str, Any]:
    """A proxy with its toxics. `Logger` is empty and really there in 2.12; `protocol` stands where it was given."""
    shape: dict[str, Any] = {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},
        "toxics": [toxic_shape(toxic) for toxic in proxy.toxics],
    }
    if proxy.protocol is not None:
        shape["protocol"] = proxy.protocol.value
    return shape
