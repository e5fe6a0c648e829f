"""The toxics: one file each, found by being here. A file declares its attributes, its stage and `TOXIC`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from chaos.proxy.stage import ToxicType

__all__ = ["TOXIC_TYPES"]


def _load() -> dict[str, ToxicType]:
    found = (import_module(f"{__name__}.{module.name}").TOXIC for module in pkgutil.iter_modules(__path__))
    return {toxic.name: toxic for toxic in found}


#: Every toxic type by name.
TOXIC_TYPES: dict[str, ToxicType] = _load()
