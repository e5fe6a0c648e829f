"""What a reload would do: entry by entry, old file against new. Entries that are equal are not touched, whatever the API did since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from chaos.proxy.config.reading import Entry
from chaos.proxy.proxy import Proxy
from chaos.proxy.settings import ProxySettings

__all__ = ["Change", "Plan", "make_plan"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy that is there and whose entry differs. `old` is its entry, or what it is if it had none.

    `enabled`: whether it is to listen, which is the file's word if that changed, else as it is.
    """

    proxy: Proxy
    old: ProxySettings
    entry: Entry
    enabled: bool

    @property
    def new(self) -> ProxySettings:
        """What its entry is now."""
        return self.entry.settings

    @property
    def listen(self) -> str | None:
        """The new address, None if the file's word did not change: a port of the system's choice stays."""
        return self.new.listen if self.new.listen != self.old.listen else None

    @property
    def moves(self) -> bool:
        """Whether its listener or upstream changes, which costs its connections."""
        return self.listen is not None or self.old.upstream != self.new.upstream


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Proxies to create, change, remove, and names of those left alone."""

    create: Sequence[Entry]
    change: Sequence[Change]
    remove: Sequence[Proxy]
    same: Sequence[str]


def make_plan(old: Mapping[str, ProxySettings], entries: Sequence[Entry], present: Mapping[str, Proxy]) -> Plan:
    """`old` is what the file said before; only proxies that it named are ever removed."""
    create: list[Entry] = []
    change: list[Change] = []
    same: list[str] = []
    for entry in entries:
        name = entry.settings.name
        proxy = present.get(name)
        before = old.get(name)
        if proxy is None:
            create.append(entry)
        elif before == entry.settings:
            same.append(name)
        else:
            change.append(_change(proxy, before or _as_it_is(proxy, entry), entry))
    wanted = {entry.settings.name for entry in entries}
    remove = [present[name] for name in old if name in present and name not in wanted]
    return Plan(create=create, change=change, remove=remove, same=same)


def _change(proxy: Proxy, old: ProxySettings, entry: Entry) -> Change:
    wanted = entry.settings.enabled
    return Change(proxy=proxy, old=old, entry=entry, enabled=wanted if wanted != old.enabled else proxy.enabled)


def _as_it_is(proxy: Proxy, entry: Entry) -> ProxySettings:
    """Of a proxy that the file names for the first time: its toxics are not the file's."""
    return ProxySettings(
        name=entry.settings.name,
        listen=proxy.listen,
        upstream=proxy.upstream,
        enabled=proxy.enabled,
        protocol=proxy.protocol,
    )
