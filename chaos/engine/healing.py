"""Healing: remove every fault of ours, whatever happens to the run, and prove it by reading back."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio

from chaos.engine.clock import now_ns
from chaos.errors import ProxyError
from chaos.links import LinkControl
from chaos.model.event import AnyEvent, HealChecked, Note

__all__ = ["heal"]


async def heal(
    control: LinkControl, links: Iterable[str], *, deadline_ms: float, emit: Callable[[AnyEvent], None]
) -> HealChecked:
    """Heal the links at once, each within `deadline_ms`, then read back, and tell what remains.

    Runs in a shield: neither an interrupt nor a failing run stops it. Failures of single links are notes; the read-back decides.
    """
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            for link in links:
                group.start_soon(_heal_link, control, link, deadline_ms, emit)
        checked = await _read_back(control, deadline_ms)
    emit(checked)
    return checked


async def _heal_link(control: LinkControl, link: str, deadline_ms: float, emit: Callable[[AnyEvent], None]) -> None:
    try:
        with anyio.fail_after(deadline_ms / 1000):
            await control.heal(link)
    except (ProxyError, TimeoutError) as error:
        emit(Note(t_ns=now_ns(), text=f"healing {link} failed: {str(error) or 'no answer in time'}"))


async def _read_back(control: LinkControl, deadline_ms: float) -> HealChecked:
    try:
        with anyio.fail_after(deadline_ms / 1000):
            active = await control.read_back()
    except (ProxyError, TimeoutError) as error:
        return HealChecked(
            t_ns=now_ns(), error=f"the proxy could not be read back: {str(error) or 'no answer in time'}"
        )
    return HealChecked(t_ns=now_ns(), remaining=tuple(f"{one.fault} on {one.link}" for one in active))
