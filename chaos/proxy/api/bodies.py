"""Request bodies: which members each route reads, of which Go type, and what they become. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from chaos.model.base import Data
from chaos.model.link import Protocol
from chaos.proxy.api.gojson import BodyError, GoField, decode_fields, decode_value, kind
from chaos.proxy.counting import COUNT_WORDS
from chaos.proxy.settings import ProxySettings, ToxicSpec

__all__ = [
    "PROXY_EXTENSIONS",
    "PROXY_KEYS",
    "TOXIC_EXTENSIONS",
    "ToxicBody",
    "decode_attributes",
    "decode_lease",
    "decode_populate",
    "decode_proxy",
    "decode_renewal",
    "decode_toxic",
    "take_proxy",
    "take_toxic",
    "to_settings",
]

PROXY_EXTENSIONS = ("protocol",)
"""Members of a proxy that Toxiproxy does not know."""
TOXIC_EXTENSIONS = ("fault", "lease", "seed", "at_ns", "for_ms", "ramp_ms", "count", "per", "match", "phase", "answer")
"""Members of a toxic that Toxiproxy does not know."""


def _fields(owner: str, types: Mapping[str, str]) -> Mapping[str, GoField]:
    return MappingProxyType({name: (go_type, f"{owner}.{name}") for name, go_type in types.items()})


_TEXT = "string"
_PROXY = _fields(
    "Proxy",
    {"name": _TEXT, "listen": _TEXT, "upstream": _TEXT, "enabled": "bool", "toxics": "raw"}
    | dict.fromkeys(PROXY_EXTENSIONS, _TEXT),
)
PROXY_KEYS = frozenset({*_PROXY, "logger"})
"""Keys of a proxy, in lower case, that mean something or stand in what 2.12 shows."""
_TOXIC = _fields(
    "ToxicWrapper",
    {"name": _TEXT, "type": _TEXT, "stream": _TEXT, "toxicity": "float32", "attributes": "raw"}
    | {"fault": _TEXT, "lease": _TEXT, "seed": "int64", "at_ns": "int64", "for_ms": "float64"}
    | {"ramp_ms": "float64", "count": "raw", "per": _TEXT, "match": _TEXT, "phase": _TEXT, "answer": _TEXT},
)
_COUNT = _fields("ToxicWrapper.count", dict.fromkeys(COUNT_WORDS, "int64"))
_LEASE = _fields("Lease", {"holder": _TEXT, "ttl_ms": "float64", "hard_end_ms": "float64", "exclusive": "bool"})
_POPULATE_TYPE = '[]struct { toxiproxy.Proxy; Enabled *bool "json:\\"enabled\\"" }'
_GO_NAMES = {"reset_peer": "ResetToxic"}


class ToxicBody(Data, frozen=True, kw_only=True):
    """A toxic as a body names it; None for what it leaves out. `attributes` are decoded once the type is known."""

    name: str | None = None
    type: str = ""
    stream: str | None = None
    toxicity: float | None = None
    attributes: Any = None
    extensions: dict[str, Any] = {}


def decode_proxy(body: bytes) -> dict[str, Any]:
    """The members of a proxy's body that are there, `toxics` as they are. Raises BodyError."""
    return take_proxy(decode_value(body))


def decode_populate(body: bytes) -> list[dict[str, Any]]:
    """The members of the proxies of a populate body, in order. Raises BodyError."""
    value = decode_value(body)
    if value is None:
        return []
    if kind(value) != "array":
        raise BodyError(f"json: cannot unmarshal {kind(value)} into Go value of type {_POPULATE_TYPE}")
    return [take_proxy(item) for item in value]


def take_proxy(value: Any) -> dict[str, Any]:
    """The members of a proxy from a decoded value, as `decode_proxy` takes them. Raises BodyError."""
    found = decode_fields(value, _PROXY, "toxiproxy.Proxy")
    if "protocol" in found:
        try:
            found["protocol"] = Protocol(found["protocol"])
        except ValueError:
            known = ", ".join(Protocol)
            raise BodyError(f"protocol {found['protocol'][:40]!r} is not framed here; known: {known}") from None
    return found


def to_settings(members: Mapping[str, Any], toxics: tuple[ToxicSpec, ...] = ()) -> ProxySettings:
    """A proxy to be created from its members; what is not there is empty, and `enabled` true. Toxics are those given."""
    return ProxySettings(
        name=members.get("name", ""),
        upstream=members.get("upstream", ""),
        listen=members.get("listen", ""),
        enabled=members.get("enabled", True),
        protocol=members.get("protocol"),
        toxics=toxics,
    )


def decode_toxic(body: bytes) -> ToxicBody:
    """A toxic's body; its attributes are an object or nothing, their members not looked at yet. Raises BodyError."""
    return take_toxic(decode_value(body))


def take_toxic(value: Any) -> ToxicBody:
    """A toxic from a decoded value, as `decode_toxic` takes it. Raises BodyError."""
    found = decode_fields(value, _TOXIC, "toxics.ToxicWrapper")
    attributes = found.get("attributes")
    decode_fields(attributes, {}, "toxics.NoopToxic", field="ToxicWrapper.attributes")
    if "count" in found:
        found["count"] = decode_fields(found["count"], _COUNT, "toxics.Count", field="ToxicWrapper.count")
    return ToxicBody(
        name=found.get("name"),
        type=found.get("type", ""),
        stream=found.get("stream"),
        toxicity=found.get("toxicity"),
        attributes=attributes,
        extensions={key: found[key] for key in TOXIC_EXTENSIONS if key in found},
    )


def decode_attributes(value: Any, toxic_type: str, names: Iterable[str]) -> dict[str, int]:
    """The attributes that are there, by their JSON names, all integers. Raises BodyError."""
    owner = _GO_NAMES.get(toxic_type, "".join(part.capitalize() for part in toxic_type.split("_")) + "Toxic")
    fields = {name: ("int64", f"{owner}.attributes.{name}") for name in names}
    return decode_fields(value, fields, f"toxics.{owner}")


def decode_lease(body: bytes) -> dict[str, Any]:
    """Holder, `ttl_ms`, `hard_end_ms` from now, `exclusive`. Raises BodyError for what is missing or not positive."""
    found = {"exclusive": True} | decode_fields(decode_value(body), _LEASE, "Lease")
    if not found.get("holder"):
        raise BodyError("a lease needs a holder: say who asks, such as a run's id")
    _positive(found, "ttl_ms", "hard_end_ms")
    return found


def decode_renewal(body: bytes) -> float | None:
    """The new `hard_end_ms` from now, or None. Raises BodyError."""
    if not body:
        return None
    found = decode_fields(decode_value(body), _LEASE, "Lease")
    if "hard_end_ms" not in found:
        return None
    _positive(found, "hard_end_ms")
    return float(found["hard_end_ms"])


def _positive(found: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not found.get(name, 0) > 0:
            raise BodyError(f"a lease needs {name} above 0, in milliseconds")
