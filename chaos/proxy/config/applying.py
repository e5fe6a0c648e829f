"""Carry a plan out: everything that can fail is tried first, and what fails all the same is undone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import msgspec

from chaos.proxy.config.plan import Change, Plan
from chaos.proxy.config.reading import Entry
from chaos.proxy.errors import DataPlaneError, ListenError
from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry
from chaos.proxy.settings import ToxicSpec

__all__ = ["apply_plan", "check_plan"]

_State = tuple[Proxy, str, str, bool]

_log = logging.getLogger("chaos.proxy.config")


async def check_plan(registry: Registry, plan: Plan) -> list[str]:
    """What would go wrong, as `file:line:column: text`: addresses that cannot be had, toxics whose names the API has taken."""
    leaving = [*plan.remove, *(change.proxy for change in plan.change if change.listen is not None)]
    freed = {proxy.listen for proxy in leaving if proxy.enabled}
    starting = [entry for entry in plan.create if entry.settings.enabled]
    starting += [
        change.entry
        for change in plan.change
        if change.enabled and (change.listen is not None or not change.proxy.enabled)
    ]
    problems: list[str] = []
    taken: dict[str, Entry] = {}
    for entry in starting:
        try:
            address = await Proxy(registry.server, entry.settings).probe(freed)
        except ListenError as error:
            problems.append(f"{entry.listen_place}: {error}")
            continue
        if address is not None and address in taken:
            problems.append(f"{entry.listen_place}: {address} is taken, see {taken[address].listen_place}")
        elif address is not None:
            taken[address] = entry
    entries = [*plan.create, *(change.entry for change in plan.change)]
    problems += [problem for entry in entries for problem in _impossible(registry, entry)]
    return problems + [problem for change in plan.change for problem in _clashes(change)]


def _impossible(registry: Registry, entry: Entry) -> Iterator[str]:
    """Toxics that this proxy cannot have, such as those that count messages of a link that is not framed."""
    chain = Proxy(registry.server, entry.settings).chain
    for spec in entry.settings.toxics:
        try:
            chain.check(spec)
        except DataPlaneError as error:
            yield f"{entry.place}: toxic {spec.name!r}: {error}"


def _clashes(change: Change) -> list[str]:
    present = {toxic.name for toxic in change.proxy.toxics} - {spec.name for spec in change.old.toxics}
    return [
        f"{change.entry.place}: toxic {spec.name!r} was added to {change.new.name!r} through the API; remove it there first"
        for spec in change.new.toxics
        if spec.name in present
    ]


async def apply_plan(registry: Registry, plan: Plan) -> None:
    """Raises ListenError, with the place, once everything is as it was before (but for connections of what had to move)."""
    before = [_state(proxy) for proxy in (*plan.remove, *(change.proxy for change in plan.change))]
    created: list[str] = []
    # All stop before any starts: two may swap their addresses, or a new name may take an old address.
    for proxy in (*plan.remove, *(change.proxy for change in plan.change if change.moves)):
        proxy.stop()
    try:
        for change in plan.change:
            with change.entry.locating():
                await _change(change)
        for entry in plan.create:
            with entry.locating():
                await registry.create(entry.settings)
            created.append(entry.settings.name)
    except DataPlaneError:
        for name in created:
            await registry.remove(name)
        await _restore([state for state in before if state != _state(state[0])])
        raise
    for change in plan.change:
        change.proxy.reframe(change.new.protocol)
        _retoxify(change)
    for proxy in plan.remove:
        await registry.remove(proxy.name)


async def _change(change: Change) -> None:
    if change.moves:
        await change.proxy.update(listen=change.listen, upstream=change.new.upstream, enabled=change.enabled)
    else:
        await change.proxy.update(enabled=change.enabled)


def _state(proxy: Proxy) -> _State:
    return proxy, proxy.listen, proxy.upstream, proxy.enabled


async def _restore(before: Sequence[_State]) -> None:
    for proxy, _, _, _ in before:
        proxy.stop()
    for proxy, listen, upstream, enabled in before:
        proxy.listen, proxy.upstream = listen, upstream
        try:
            if enabled:
                await proxy.start()
        except ListenError as error:
            _log.error("proxy %s could not take its address back after a reload that failed: %s", proxy.name, error)


def _retoxify(change: Change) -> None:
    """Toxics of the file that changed; those of the API stay."""
    old = {spec.name: spec for spec in change.old.toxics}
    new = {spec.name: spec for spec in change.new.toxics}
    present = {toxic.name for toxic in change.proxy.toxics}
    for name, spec in old.items():
        if name in present and not _alike(spec, new.get(name)):
            change.proxy.remove_toxic(name)
            present.discard(name)
    for name, spec in new.items():
        if name not in present:
            change.proxy.add_toxic(spec)
        elif spec != old.get(name):
            # Attributes that the file leaves out go back to their defaults.
            wanted = change.proxy.toxic(name).kind.decode(spec.attributes)
            change.proxy.update_toxic(name, msgspec.structs.asdict(wanted), spec.toxicity)


def _alike(old: ToxicSpec, new: ToxicSpec | None) -> bool:
    """Whether one can become the other without being removed: only attributes and toxicity may differ."""
    return new is not None and msgspec.structs.replace(old, attributes=new.attributes, toxicity=new.toxicity) == new
