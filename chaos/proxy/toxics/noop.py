"""noop: passes everything on."""

from __future__ import annotations

from chaos.proxy.stage import Attributes, Stage, ToxicType

__all__ = ["TOXIC"]


class NoopAttributes(Attributes, frozen=True):
    """None."""


TOXIC = ToxicType(name="noop", attributes=NoopAttributes, stage=Stage)
