"""refuse: a server gone. Connects are refused, live connections reset unless `keep_live`; the port stays ours."""

from __future__ import annotations

from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class RefuseAttributes(Attributes, frozen=True):
    """`keep_live` other than 0 spares live connections."""

    keep_live: int = 0


def _cuts_live(attributes: RefuseAttributes) -> bool:
    return attributes.keep_live == 0


TOXIC = ToxicType(
    name="refuse", attributes=RefuseAttributes, standard=False, closes_listener=True, cuts_live=_cuts_live
)
