"""`recover`: prove that nothing of dead runs is left on this machine or on a proxy, and remove what is."""

from __future__ import annotations

import anyio

from chaos.engine.leases import StoredLease, stored_leases
from chaos.errors import HealError, ProxyError
from chaos.links import connect_embedded, probe_connect
from chaos.links.guard import remaining_proxies, remove_proxies
from chaos.system.leftovers import find_leftovers, remove_leftover

__all__ = ["recover"]


def recover(*, dry_run: bool = False) -> tuple[list[str], bool]:
    """Lines for a person, and whether nothing is left. Touches only what leases and owner files of dead runs name."""
    return anyio.run(_recover, dry_run)


async def _recover(dry_run: bool) -> tuple[list[str], bool]:
    lines: list[str] = []
    clean = True
    for leftover in find_leftovers():
        if dry_run:
            lines.append(f"left: {leftover}")
            clean = False
            continue
        try:
            remove_leftover(leftover)
            lines.append(f"removed: {leftover}")
        except HealError as error:
            lines.append(f"remains: {error}")
            clean = False
    for path, lease in stored_leases():
        if lease is None:
            lines.append(f"unreadable lease {path}: remove it when no run is active")
            clean = False
        elif lease.lives:
            lines.append(f"run {lease.run_id} is alive (pid {lease.pid}); left alone")
        else:
            told = [await _heal_lease(lease, dry_run)]
            if lease.toxiproxy_url:
                told.append(await _heal_toxiproxy(lease, dry_run))
            lines += [text for text, _ in told]
            healed = all(done for _, done in told)
            clean = clean and healed
            if healed and not dry_run:
                path.unlink(missing_ok=True)
    return lines or ["nothing of earlier runs is left"], clean


async def _heal_lease(lease: StoredLease, dry_run: bool) -> tuple[str, bool]:
    """What became of a dead run's faults, and whether none is left."""
    try:
        async with connect_embedded(lease.proxy_url) as control:
            ours = [one for one in await control.read_back() if one.link in lease.links]
            if ours and dry_run:
                return f"left: {len(ours)} faults of run {lease.run_id} on {lease.proxy_url}", False
            for link in dict.fromkeys(one.link for one in ours):
                await control.heal(link)
            rest = [f"{one.fault} on {one.link}" for one in await control.read_back() if one.link in lease.links]
    except ProxyError as error:
        if await _refuses(lease.proxy_url):
            return f"run {lease.run_id}: its proxy at {lease.proxy_url} is gone, and its faults with it", True
        return f"run {lease.run_id}: whether a fault of it is left is not known: {error}", False
    if rest:
        return f"remains on {lease.proxy_url}: {', '.join(rest)}", False
    return f"run {lease.run_id}: no fault of it is left on {lease.proxy_url} (read back)", True


async def _heal_toxiproxy(lease: StoredLease, dry_run: bool) -> tuple[str, bool]:
    """The same for a real server: the proxies that the run made there are named after it, and go as a whole."""
    names, where = [f"{lease.run_id}.{link}" for link in lease.links], lease.toxiproxy_url
    try:
        left = await anyio.to_thread.run_sync(remaining_proxies, where, names)
        if left and dry_run:
            return f"left: {len(left)} proxies of run {lease.run_id} on {where}", False
        await anyio.to_thread.run_sync(remove_proxies, where, left)
        left = await anyio.to_thread.run_sync(remaining_proxies, where, names)
    except OSError as error:
        return f"run {lease.run_id}: the Toxiproxy at {where} does not answer ({error})", False
    if left:
        return f"remains on {where}: {', '.join(left)}", False
    return f"run {lease.run_id}: no proxy of it is left on {where} (read back)", True


async def _refuses(url: str) -> bool:
    """Whether nobody listens there: a proxy that is gone, and not one that is stopped or busy."""
    try:
        return await probe_connect(url.removeprefix("http://").rstrip("/"), within_s=2.0) == "refused"
    except ProxyError:
        return False
