"""Faults that sit between the driver and the system: nobody behind them could have answered for them."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.model.link import Link, Protocol

__all__ = ["DRIVER", "broker_of", "shields_system"]

DRIVER = "driver"


def broker_of(route: tuple[str, ...], links: Mapping[str, Link]) -> str | None:
    """The broker that the driver talks to on this route, or None where it calls a service itself."""
    for name in route:
        link = links.get(name)
        if link is not None and link.caller == DRIVER and link.protocol is Protocol.NATS:
            return link.callee
    return None


def shields_system(link: Link, route: tuple[str, ...], links: Mapping[str, Link]) -> bool:
    """True if a fault on this link can keep the system from hearing the driver, or the driver from hearing the system.

    That is so on the driver's own links, and on a service's link to the broker through which the driver reaches the service: a
    broker passes messages on, it answers for nobody.
    """
    return link.caller == DRIVER or link.callee == broker_of(route, links)
