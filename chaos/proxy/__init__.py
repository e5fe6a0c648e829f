"""The fault proxy's data plane: proxies that move bytes, toxics that act on them, the wire log that proves it."""

from __future__ import annotations

from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry, open_registry
from chaos.proxy.settings import Options, ProxySettings, ToxicSpec
from chaos.proxy.toxic import Toxic
from chaos.proxy.toxics import TOXIC_TYPES

__all__ = ["TOXIC_TYPES", "Options", "Proxy", "ProxySettings", "Registry", "Toxic", "ToxicSpec", "open_registry"]
