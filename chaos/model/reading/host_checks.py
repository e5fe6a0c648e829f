"""Addresses that lead beyond this machine are named and must be allowed; those that a variable says are not told."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.model.link import Link
from chaos.model.reading.groups import Fields
from chaos.model.reading.hosts import beyond_loopback
from chaos.model.reading.problems import Report, quote
from chaos.model.reading.system import hidden_hosts, store_addresses
from chaos.model.scenario import LinkMap
from chaos.model.system import SystemModel

__all__ = ["check_hosts"]


def check_hosts(
    own: SystemModel | None, link_map: LinkMap, fields: Fields, environment: Mapping[str, str], report: Report
) -> None:
    """Of links, and of what the system names itself beside them: effects are read straight from its stores."""
    allowed = tuple(one.value for one in fields.get("allow_hosts", ()))
    hidden = hidden_hosts(own, environment) if own is not None else {}
    of_links = beyond_loopback(link_map.links, allowed)
    for link, host in of_links:
        place = fields.place_of("links" if "links" in fields else "system")
        report.add(place, *_beyond(f"{link} of the map {link_map.name}", host, hidden))
    if own is None:
        return
    told = {host for _, host in of_links}
    for host in dict.fromkeys(host for _, host in beyond_loopback(_linked(own, environment), allowed)):
        if host not in told:
            report.add(fields.place_of("system"), *_beyond("the system", host, hidden))


def _beyond(who: str, host: str, hidden: Mapping[str, str]) -> tuple[str, str]:
    text = f"the host in {hidden[host]}" if host in hidden else quote(host)[1:-1]
    return f"{who} leads beyond this machine, to {text}", f"if you mean it, add allow_hosts: [{text}] to the scenario"


def _linked(own: SystemModel, environment: Mapping[str, str]) -> tuple[Link, ...]:
    """Every address that the system names, as links from nobody."""
    found = {name: one.address for name, one in own.upstreams.items()} | store_addresses(own, environment)
    return tuple(Link(name=f"drill>{name}", upstream=address) for name, address in found.items())
