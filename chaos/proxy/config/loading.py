"""The config file of a running server: loaded at start, reloaded by SIGHUP or POST /chaos/reload."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from chaos.errors import ChaosError
from chaos.model.base import Data
from chaos.proxy.config.applying import apply_plan, check_plan
from chaos.proxy.config.plan import Plan, make_plan
from chaos.proxy.config.reading import Entry, Page, read_page
from chaos.proxy.errors import ConfigAddressError, ConfigError, DataPlaneError
from chaos.proxy.registry import Registry
from chaos.proxy.settings import ProxySettings

__all__ = ["Config", "Reloaded"]

_log = logging.getLogger("chaos.proxy.config")


class Reloaded(Data, frozen=True, kw_only=True, omit_defaults=False):
    """What a reload did, as names of proxies. `unchanged` ones kept listener, connections and toxics."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Config:
    """One file and the registry that it fills. With -strict the toxics of its proxies mean nothing, as with 2.12."""

    def __init__(self, registry: Registry, path: Path) -> None:
        self.path = path
        self._registry = registry
        self._known: dict[str, ProxySettings] = {}
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Start what the file names, all or nothing. Raises ConfigError, ConfigAddressError."""
        await self._take(await self._read())

    async def load_what_is_good(self) -> None:
        """Start every proxy that can be; what is wrong is logged."""
        try:
            page = await self._read(keep_going=True)
        except ConfigError as error:
            _log.error("%s", error)  # a user's file, not a failure of ours
            return
        for problem in page.problems:
            _log.error("%s", problem)
        for entry in page.entries:
            await self._try(entry)

    async def load_until_bad(self) -> None:
        """As 2.12 does: nothing if an entry is incomplete, else one after the other until the first that cannot listen."""
        try:
            page = await self._read()
            for entry in page.entries:
                if not await self._try(entry):
                    return
        except ConfigError as error:
            _log.error("%s; none of its proxies is up", error)

    async def reload(self) -> Reloaded:
        """Read the file again and change what changed in it. Raises ConfigError, ConfigAddressError: then nothing changed."""
        async with self._lock:
            plan = await self._take(await self._read())
            done = Reloaded(
                created=tuple(entry.settings.name for entry in plan.create),
                changed=tuple(change.new.name for change in plan.change),
                removed=tuple(proxy.name for proxy in plan.remove),
                unchanged=tuple(plan.same),
            )
        self._registry.server.events.emit(
            "config.reloaded", created=done.created, changed=done.changed, removed=done.removed
        )
        return done

    async def reload_or_log(self) -> None:
        """For a signal, which nobody answers."""
        try:
            done = await self.reload()
        except ChaosError as error:
            _log.error("config not reloaded, nothing changed: %s", error)
            return
        counts = len(done.created), len(done.changed), len(done.removed), len(done.unchanged)
        _log.info("config %s reloaded: %d created, %d changed, %d removed, %d unchanged", self.path, *counts)

    async def _read(self, *, keep_going: bool = False) -> Page:
        try:
            data = await asyncio.to_thread(self.path.read_bytes)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        page = read_page(data, str(self.path), toxics=not self._registry.server.options.strict)
        for warning in page.warnings:
            _log.warning("%s", warning)
        if page.problems and not keep_going:
            raise ConfigError(*page.problems)
        return page

    async def _take(self, page: Page) -> Plan:
        plan = make_plan(self._known, page.entries, {proxy.name: proxy for proxy in self._registry.proxies()})
        problems = await check_plan(self._registry, plan)
        if problems:
            raise ConfigAddressError(*problems)
        await apply_plan(self._registry, plan)
        self._known = {entry.settings.name: entry.settings for entry in page.entries}
        return plan

    async def _try(self, entry: Entry) -> bool:
        try:
            await self._registry.create(entry.settings)
        except DataPlaneError as error:
            _log.error("%s: %s", entry.listen_place, error)
            return False
        self._known[entry.settings.name] = entry.settings
        return True
