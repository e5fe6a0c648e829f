"""Whether somebody listens where links lead, asked before any load: a drill of what is not there would only find that out late.

Asked of what runs already. What a run starts is waited for when it is started.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import anyio

from chaos.engine.clock import now_ns
from chaos.errors import NotReadyError
from chaos.model.event import AnyEvent, Note
from chaos.model.link import Link
from chaos.model.plan import Plan
from chaos.model.reading import is_loopback, split_address
from chaos.model.system import LOCAL

__all__ = ["check_upstreams"]

_WITHIN_S = 3.0


async def check_upstreams(plan: Plan, emit: Callable[[AnyEvent], None]) -> None:
    """Connect to every upstream once, all at the same time, and say nothing there.

    Raises NotReadyError where nobody listens behind a link of the driver, or one that a fault is on: nothing could be judged. Behind
    others that is a note. A proxy on another machine has upstreams of its own, which are not asked.
    """
    if "://" in plan.proxy and not is_loopback(urlsplit(plan.proxy).hostname or ""):
        return
    links = tuple(_leading_out(plan))
    silent: dict[str, str] = {}
    async with anyio.create_task_group() as group:
        for address in dict.fromkeys(link.upstream or "" for link in links):
            group.start_soon(_ask, address, silent)
    faulted = {name for fault in plan.faults for name in fault.links}
    needed = [one for one in links if one.upstream in silent and (one.caller == "driver" or one.name in faulted)]
    if needed:
        raise NotReadyError(
            f"{'; '.join(_text(one, silent) for one in needed)}; start it, or mend the address in the scenario or its link map"
        )
    for one in links:
        if one.upstream in silent:
            emit(Note(t_ns=now_ns(), text=f"{_text(one, silent)}; what goes there fails without any fault"))


def _leading_out(plan: Plan) -> Iterator[Link]:
    """Links to what runs already."""
    own = plan.scenario.own
    if own is None:
        return
    ours = {one.name for one in own.services} | {name for name, url in own.stores.items() if url == LOCAL}
    yield from (link for link in plan.links if link.upstream is not None and link.callee not in ours)


async def _ask(address: str, silent: dict[str, str]) -> None:
    host, port = split_address(address)
    try:
        with anyio.fail_after(_WITHIN_S):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        silent[address] = f"no answer within {_WITHIN_S:g} s"
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        silent[address] = "connection refused" if cause.errno == errno.ECONNREFUSED else str(cause)
    else:
        await anyio.aclose_forcefully(stream)


def _text(link: Link, silent: dict[str, str]) -> str:
    return f"nobody listens at {link.upstream}, where {link.name} leads ({silent[link.upstream or '']})"
