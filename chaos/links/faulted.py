"""A fault for as long as a block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from chaos.links.port import LinkControl
from chaos.links.toxic import Toxic

__all__ = ["faulted"]


@asynccontextmanager
async def faulted(
    control: LinkControl,
    link: str,
    type_: str | Toxic,
    *,
    stream: str = "downstream",
    toxicity: float = 1.0,
    **attributes: int,
) -> AsyncIterator[str]:
    """Inject a toxic, yield its name, end it whatever happens inside: `faulted(links, "app>db", "latency", latency=300)`.

    A `Toxic` in the type's place is taken as it is, whatever else is given. Raises ProxyError as `inject` and `end` do.
    """
    if isinstance(type_, Toxic):
        toxic = type_
    else:
        toxic = Toxic(type=type_, stream=stream, toxicity=toxicity, attributes=attributes)
    name = await control.inject(link, toxic)
    try:
        yield name
    finally:
        # Each call has a deadline of its own.
        with anyio.CancelScope(shield=True):
            await control.end(link, name)
