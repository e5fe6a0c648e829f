"""The base of all data: frozen, slotted, keyword-only structs that validate on construction."""

from __future__ import annotations

import msgspec

__all__ = ["Data"]


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False, omit_defaults=True):
    """Base of every record of the model. Unknown fields are ignored on reading, so newer journals stay readable."""
