"""The toxics: one file each, found by being here. A file declares its attributes, its stage and `TOXIC`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from chaos.proxy.stage import ToxicType

__all__ = ["TOXIC_TYPES", "load_types"]


def load_types() -> dict[str, ToxicType]:
    """Import every file of the folder and answer what each declares, by name."""
    found = (import_module(f"{__name__}.{module.name}").TOXIC for module in pkgutil.iter_modules(__path__))
    return {toxic.name: toxic for toxic in found}


#: Every toxic type by name.
TOXIC_TYPES: dict[str, ToxicType] = load_types()
