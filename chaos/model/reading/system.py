"""From the mapping under `system` to the model, and the links that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from chaos.model.interpolation import PARTS, callee_holes, names_in
from chaos.model.link import Link, Protocol
from chaos.model.reading.groups import Fields
from chaos.model.reading.problems import Report, known, quote
from chaos.model.reading.shape import At
from chaos.model.reading.untraced import check_untraced
from chaos.model.scenario import DERIVED, LinkMap
from chaos.model.store_url import read_store_url
from chaos.model.system import LOCAL, STORES, ReadyWhen, ServiceModel, SystemModel, Upstream, Variables

__all__ = ["DERIVED", "OWN", "check_callees", "derive_links", "hidden_hosts", "read_system", "store_addresses"]

OWN = "own"
"""The name of a system that the scenario itself describes."""

_RESERVED = ("driver", "proxy", "supervisor", "any", "none", "all")
_PROCESSES = ("toxiproxy", "conductor", "initdb")  # of the run, with names and logs among those of the services
_SCHEMES = {"postgres": ("postgres", "postgresql"), "nats": ("nats",)}
_PORTS = {"postgres": 5432, "nats": 4222}
_Written = dict[str, tuple[At[str], At[object]]]


def read_system(fields: Fields, folder: str, report: Report) -> SystemModel:
    """The system as far as it could be read."""
    services: _Written = fields.get("services", {})
    upstreams: _Written = fields.get("upstreams", {})
    model = SystemModel(
        services=tuple(
            _service(name, value.value) for name, (_, value) in services.items() if isinstance(value.value, Fields)
        ),
        stores={name: fields[name] for name in STORES if name in fields},
        upstreams={name: _upstream(value.value) for name, (_, value) in upstreams.items()},
        folder=folder,
    )
    if not model.names:
        report.add(fields.place, "a system of nothing", "name its services, or upstreams that run already")
    for name, (key, _) in (*services.items(), *upstreams.items()):
        if name in _RESERVED or name in STORES:
            report.add(key.place, f"{name} means something else here", "choose another name")
        elif name in services and name in _PROCESSES:
            report.add(key.place, f"{name} is a process of the run itself", "choose another name")
        elif name in services and name in upstreams and key is upstreams[name][0]:
            report.add(key.place, f"{name} is a service and an upstream", "name each once")
    for name, (_, value) in services.items():
        if isinstance(value.value, Fields):
            _check_service(name, value.value, model, report)
    return model


def _service(name: str, fields: Fields) -> ServiceModel:
    return ServiceModel(
        name=name,
        command=fields.get("command", ()),
        ready=_ready(fields.get("ready")),
        cwd=fields.get("cwd", ""),
        env={key: value.value for key, (_, value) in fields.get("env", {}).items()},
        listen=fields.get("listen", ""),
        port=fields.get("port", 0),
        protocol=Protocol(fields.get("protocol", Protocol.HTTP.value)),
        traced=fields.get("traced", False),
        untraced=tuple(one.value for one in fields.get("untraced", ())),
        calls={callee: _variables(value.value) for callee, (_, value) in fields.get("calls", {}).items()},
        stop_signal=fields.get("stop", "TERM"),
    )


def _ready(written: str | Fields | None) -> ReadyWhen:
    if written is None:
        return ReadyWhen(kind="tcp")
    if isinstance(written, str):
        return ReadyWhen(kind="http", value=written)
    within_ms = written.get("within", ReadyWhen(kind="tcp").within_ms)
    for kind in ("http", "log"):
        if kind in written:
            return ReadyWhen(kind=kind, value=written[kind], within_ms=within_ms)
    return ReadyWhen(kind="tcp", within_ms=within_ms)


def _variables(written: object) -> Variables:
    if isinstance(written, Fields):
        return Variables(**written.values)
    return Variables(url=str(written))


def _upstream(written: object) -> Upstream:
    if isinstance(written, Fields):
        return Upstream(address=written.get("at", ""), protocol=Protocol(written.get("protocol", Protocol.HTTP.value)))
    return Upstream(address=str(written))


def _check_service(name: str, fields: Fields, model: SystemModel, report: Report) -> None:
    check_untraced(fields, report, "a service")
    calls: _Written = fields.get("calls", {})
    for callee, (key, _) in calls.items():
        if callee == name:
            report.add(key.place, f"{name} calls itself", "leave it out: what stays inside a service has no link")
        elif callee not in model.names:
            report.add(key.place, f"the system has no {quote(callee)[1:-1]}", _missing(callee, model))
    ready = fields.get("ready")
    if isinstance(ready, Fields) and sum(one in ready for one in ("http", "tcp", "log")) != 1:
        report.add(ready.place, "readiness is one of http, tcp and log", "write one of them, such as {http: /healthz}")
    if isinstance(ready, str) and not ready.startswith("/"):
        report.add(
            fields.place_of("ready"), f"{quote(ready)} is no path", "write one such as /healthz, or {log: a pattern}"
        )
    env: _Written = fields.get("env", {})
    texts = [(str(value.value), value.place) for _, value in env.values()]
    for text, place in (*texts, (" ".join(fields.get("command", ())), fields.place_of("command"))):
        for callee, part in callee_holes(text):
            if callee not in calls:
                report.add(
                    place, f"{{{callee}.{part}}} is not among the calls of {name}", f"add calls: {{{callee}: ...}}"
                )
            elif part not in PARTS:
                report.add(place, f"of a callee there is no {part}", f"known: {', '.join(PARTS)}")


def _missing(callee: str, model: SystemModel) -> str:
    if callee in STORES:
        return f"add {callee}: local under system, or the URL of one that runs"
    return known(callee, model.names) if model.names else "name it under services or upstreams"


def derive_links(
    model: SystemModel, fields: Fields, doors: Sequence[str], environment: Mapping[str, str], report: Report
) -> LinkMap:
    """A link for every call of a service and for every callee that a workload talks to (`doors`)."""
    addresses = {name: one.address for name, one in model.upstreams.items()}
    for store, written in model.stores.items():
        if written != LOCAL and (address := _store_address(store, written, fields, environment, report)):
            addresses[store] = address
    named = [door for door in dict.fromkeys(doors) if door in model.names]
    links = [_derived(f"driver>{door}", door, model, addresses, traced=True) for door in named]
    for one in model.services:
        for callee in one.calls:
            if callee in model.names:
                link = _derived(f"{one.name}>{callee}", callee, model, addresses, traced=one.traced)
                links.append(replace(link, untraced=one.untraced) if link.traced else link)
    return LinkMap(name=DERIVED, links=tuple(links))


def check_callees(model: SystemModel, fields: Fields, link_map: LinkMap, report: Report) -> None:
    """Against a map that the scenario names: every call has its link, and every link leads somewhere."""
    for service in model.services:
        for callee in service.calls:
            if f"{service.name}>{callee}" not in link_map.names:
                what = f"{service.name} calls {callee}, but the map {link_map.name} has no link {service.name}>{callee}"
                report.add(
                    fields.place_of("links"), what, "add it to the map, or leave links out: they follow from calls"
                )
    for link in link_map.links:
        if link.upstream is None and link.callee not in model.names:
            what = f"{link.name} of the map {link_map.name} leads to {link.callee}, which the system does not have"
            report.add(fields.place_of("links"), what, "give the link an upstream, or add it to the system")


def _derived(name: str, callee: str, model: SystemModel, addresses: Mapping[str, str], *, traced: bool) -> Link:
    protocol = model.protocol_of(callee)
    carries = traced and protocol is Protocol.HTTP
    return Link(name=name, protocol=protocol, traced=carries, upstream=addresses.get(callee))


def store_addresses(model: SystemModel, environment: Mapping[str, str]) -> dict[str, str]:
    """`host:port` of every store by URL; those that cannot be told are left out."""
    found: dict[str, str] = {}
    for store, written in model.stores.items():
        try:
            if written != LOCAL:
                found[store] = read_store_url(written, environment).address(_PORTS[store])
        except (KeyError, ValueError):
            continue
    return found


def hidden_hosts(model: SystemModel, environment: Mapping[str, str]) -> dict[str, str]:
    """Hosts of stores that stand in variables, each with those: what messages say instead."""
    found: dict[str, str] = {}
    for written in model.stores.values():
        try:
            url = read_store_url(written, environment)
        except (KeyError, ValueError):
            continue
        if url.variables:
            found[url.host.strip("[]")] = " and ".join(f"${{{name}}}" for name in url.variables)
    return found


def _store_address(
    store: str, written: str, fields: Fields, environment: Mapping[str, str], report: Report
) -> str | None:
    """`host:port` of a store's URL; what is wrong with it is reported."""
    place = fields.place_of(store)
    example = f"write local, or {_SCHEMES[store][0]}://user:password@host:port"
    try:
        url = read_store_url(written, environment)
    except KeyError as error:
        report.add(place, f"the variable {error.args[0]} is not set", f"export it, or write {store}: local")
        return None
    except ValueError:
        report.add(place, f"this is no URL of {store}", _mend(written, example))
        return None
    if url.scheme not in _SCHEMES[store]:
        report.add(place, f"this is no URL of {store}", example)
        return None
    return url.address(_PORTS[store])


def _mend(written: str, example: str) -> str:
    if "://" in written:
        return f"{example}, with @ : / ? # in the password percent-encoded, or the password as ${{NAME}}"
    if names_in(written):
        return f"{example}; a variable that says all of it must be percent-encoded; ${{NAME}} in the place of the password not"
    return example
