"""From hints to a sketch of the system: what runs, what a run starts, which links there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from chaos.engine.init_compose import ComposeService
from chaos.engine.init_hints import Hints
from chaos.model.base import Data
from chaos.model.link import Protocol

__all__ = ["KNOWN_PORTS", "Part", "Sketch", "SketchLink", "sketch"]

FIRST_PORT = 21101
_STORES = {"postgres": Protocol.POSTGRES, "nats": Protocol.NATS}
_TAKEN = ("driver", "proxy", "supervisor", "any", "none", "all", *_STORES)  # they mean something else in a scenario
_POSTGRES = re.compile(r"postgres|postgis|pgvector|timescale|pgbouncer|cockroach")
_IMAGES = (
    (_POSTGRES, "postgres"),
    (re.compile(r"^nats($|-server)"), "nats"),
    (
        re.compile(r"redis|valkey|keydb|dragonfly|memcached|mysql|mariadb|mongo|rabbitmq|kafka|redpanda|zookeeper"),
        "tcp",
    ),
)
_PORTS = {
    5432: "postgres", 6432: "postgres", 4222: "nats", 6379: "tcp", 11211: "tcp", 3306: "tcp", 27017: "tcp", 5672: "tcp",
    9092: "tcp", 2181: "tcp",
}  # fmt: skip
"""What usually listens there. All else is taken for HTTP."""

_APPS = (8000, 8080, 3000, 5000, 8888, 4000, 8001, 9000)
KNOWN_PORTS = frozenset({*_PORTS, *_APPS})
"""Ports that tell something by their number."""

_URLS = {
    "postgres": re.compile(r"^(DATABASE|DB|PG|POSTGRES|POSTGRESQL)_?(URL|DSN|URI)$"),
    "nats": re.compile(r"^NATS_?(URL|SERVERS?|URI|HOST)$"),
}


class Part(Data, frozen=True, kw_only=True):
    """Something that runs already, by its name in the scenario; `known_as` is what the compose file calls it. Port 0: not published."""

    name: str
    protocol: Protocol
    port: int = 0
    inner: int = 0
    known_as: str = ""
    listens: bool = False


class SketchLink(Data, frozen=True, kw_only=True):
    """A link with the variables of the caller that lead there today."""

    caller: str
    callee: str
    listen: int = 0
    variables: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in a link map."""
        return f"{self.caller}>{self.callee}"


class Sketch(Data, frozen=True, kw_only=True):
    """A system as far as hints tell. `door` is whom the workload calls; `parts` is empty where the run is to start a service of its own.

    `calls` maps what that service would call to the variable that tells it where. `unreached` are parts without a port on this machine.
    """

    name: str
    source: str = ""
    door: str = "app"
    parts: tuple[Part, ...] = ()
    links: tuple[SketchLink, ...] = ()
    calls: dict[str, str] = {}
    unreached: tuple[Part, ...] = ()
    variables: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> Part | None:
        """The part of that name, or None."""
        return next((one for one in self.parts if one.name == name), None)


def sketch(hints: Hints, *, name: str) -> Sketch:
    """The sketch of a system called `name`: its compose file counts, else the ports that are listened on, else a service to be started."""
    named = _clean(name, "my-system")
    made = _from_compose(hints, named) if hints.services else _from_ports(hints, named)
    if made is None:
        calls = {store: variable for store in _STORES if (variable := _variable_of(store, hints.variables))}
        wanted = _stores_in(hints)
        calls |= {store: f"{_usual(store)}" for store in wanted if store not in calls}
        calls = calls or {"postgres": "DATABASE_URL"}
        made = Sketch(name=named, source=hints.compose, calls=calls)
    return _with(made, hints)


def _with(made: Sketch, hints: Hints) -> Sketch:
    import msgspec

    return msgspec.structs.replace(made, variables=hints.variables, notes=hints.notes)


def _usual(store: str) -> str:
    return "DATABASE_URL" if store == "postgres" else "NATS_URL"


def _stores_in(hints: Hints) -> tuple[str, ...]:
    """Stores that run here: a service for itself is then most likely to call them."""
    kinds = [_kind(one) for one in hints.services] + [_PORTS.get(port, "") for port in sorted(hints.ports)]
    return tuple(store for store in _STORES if store in kinds)


def _variable_of(store: str, names: Iterable[str]) -> str:
    return next((name for name in names if _URLS[store].match(name)), "")


# From a compose file.


def _from_compose(hints: Hints, name: str) -> Sketch | None:
    names = _names(hints.services)
    parts = [_part(one, names[one.name], hints.ports) for one in hints.services]
    apps = [one for one in hints.services if _kind(one) == "http" and _published(one)]
    if not apps:
        return None
    called = {callee for one in hints.services for callee in one.calls}
    door = min(apps, key=lambda one: (not one.calls, bool(one.image), one.name in called))
    reached = {one.name for one in parts if one.port}
    pairs = [(one.name, callee, variables) for one in hints.services for callee, variables in one.calls.items()]
    inner = [(names[caller], names[callee], variables) for caller, callee, variables in pairs]
    links = [("driver", names[door.name], ()), *(one for one in inner if one[1] in reached)]
    used = {end for caller, callee, _ in links for end in (caller, callee)}
    missed = {callee for _, callee, _ in inner if callee not in reached}
    return Sketch(
        name=name,
        source=hints.compose,
        door=names[door.name],
        parts=tuple(one for one in parts if one.port and one.name in used),
        links=tuple(_numbered(links, hints.ports)),
        unreached=tuple(one for one in parts if one.name in missed),
    )


def _part(one: ComposeService, name: str, open_ports: frozenset[int]) -> Part:
    port = _published(one)
    protocol = _STORES.get(_kind(one), Protocol.TCP if _kind(one) == "tcp" else Protocol.HTTP)
    return Part(
        name=name, protocol=protocol, port=port[0], inner=port[1], known_as=one.name, listens=port[0] in open_ports
    ) if port else Part(name=name, protocol=protocol, known_as=one.name)  # fmt: skip


def _kind(one: ComposeService) -> str:
    """`postgres`, `nats`, `tcp` or `http`, by the image, else by the port of the container."""
    image = one.image.rpartition("/")[2].partition("@")[0].partition(":")[0].lower()
    if image:
        for pattern, kind in _IMAGES:
            if pattern.search(image):
                return kind
    return next((_PORTS[each.inner] for each in one.published if each.inner in _PORTS), "http")


def _published(one: ComposeService) -> tuple[int, int] | None:
    """The port of this machine that leads to the service, and the container's own: what its kind usually has first."""
    ports = sorted(one.published, key=lambda each: _PORTS.get(each.inner) != _kind(one))
    return (ports[0].outer, ports[0].inner) if ports else None


def _names(services: Iterable[ComposeService]) -> dict[str, str]:
    """Names in the scenario: the first Postgres is `postgres`, the first NATS `nats`; each is unique and means nothing else."""
    found: dict[str, str] = {}
    for one in services:
        kind = _kind(one)
        wanted = kind if kind in _STORES and kind not in found.values() else _clean(one.name, "service")
        if wanted in _TAKEN and wanted != kind:
            wanted = f"{wanted}-service"
        found[one.name] = _unique(wanted, set(found.values()) | ({*_TAKEN} - {kind}))
    return found


def _clean(name: str, otherwise: str) -> str:
    """The name with what a scenario allows in names, at most 40 characters."""
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    kept = re.sub(r"^[^A-Za-z0-9]+", "", kept)[:40].rstrip("-._")
    return kept or otherwise


def _unique(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _numbered(links: Iterable[tuple[str, str, tuple[str, ...]]], taken: frozenset[int]) -> Iterator[SketchLink]:
    """The links, each once, with ports that nobody listens on."""
    port = FIRST_PORT
    merged: dict[tuple[str, str], tuple[str, ...]] = {}
    for caller, callee, variables in links:
        merged[caller, callee] = (*merged.get((caller, callee), ()), *variables)
    for (caller, callee), variables in merged.items():
        while port in taken:
            port += 1
        yield SketchLink(caller=caller, callee=callee, listen=port, variables=tuple(dict.fromkeys(variables)))
        port += 1


# From ports.


def _from_ports(hints: Hints, name: str) -> Sketch | None:
    app = next((port for port in _APPS if port in hints.ports), None)
    if app is None:
        return None
    parts = [Part(name="app", protocol=Protocol.HTTP, port=app, listens=True)]
    for port, kind in _PORTS.items():
        if port in hints.ports and kind in _STORES and kind not in {one.name for one in parts}:
            parts.append(Part(name=kind, protocol=_STORES[kind], port=port, listens=True))
    inner = [("app", one.name, _tuple(_variable_of(one.name, hints.variables))) for one in parts[1:]]
    links = [("driver", "app", ()), *inner]
    return Sketch(name=name, parts=tuple(parts), links=tuple(_numbered(links, hints.ports)))


def _tuple(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
