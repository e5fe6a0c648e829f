"""accept_close: new connections are accepted and ended with a FIN at once; the upstream hears nothing, live ones go on.

One of three ways not to be served: `refuse` does not accept, `hang` accepts and keeps silent.
"""

from __future__ import annotations

from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class AcceptCloseAttributes(Attributes, frozen=True):
    """None."""


TOXIC = ToxicType(name="accept_close", attributes=AcceptCloseAttributes, standard=False, closes_accepted=True)
