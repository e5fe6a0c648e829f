"""Reading a link map: which edges exist, what they speak, where they listen."""

from __future__ import annotations

from pathlib import PurePath

from chaos.model.link import Link, Protocol, Tls, parse_link_name
from chaos.model.reading.addresses import AddressText
from chaos.model.reading.compose import compose
from chaos.model.reading.groups import Field, Fields, MapOf, Record
from chaos.model.reading.plain import Choice, Flag, Text
from chaos.model.reading.problems import Report
from chaos.model.reading.shape import At
from chaos.model.reading.untraced import check_untraced, untraced_signatures
from chaos.model.scenario import LinkMap

__all__ = ["link_map_format", "read_link_map"]

_SIDE = r"[^>\s*]+"
_NOT_BUILT = "write none or passthrough"


def read_link_map(text: str | bytes, *, source: str) -> LinkMap:
    """The link map of a file; its name is the stem of `source`. Raises ScenarioError with every problem located."""
    root, report = compose(text, source)
    fields = link_map_format().read(root, report)
    links: list[Link] = []
    written = (fields.get("links") if fields else None) or {}
    for name, edge in written.values():
        _check_name(name, report)
        _check_server_name(edge.value, report)
        check_untraced(edge.value, report)
        if not report:
            links.append(_link(name.value, edge.value))
    _check_listeners({name: edge.value for name, (_, edge) in written.items()}, report)
    report.raise_any()
    return LinkMap(name=PurePath(source).stem, links=tuple(links))


def link_map_format() -> Record:
    """The root record of a link map."""
    fields = {
        "about": Field(Text(), "What system this is the map of", "The reference backend"),
        "links": Field(
            MapOf(_edge(), "link", pattern=f"^{_SIDE}>{_SIDE}$"),
            "The edges: caller>callee, each with a listener of its own",
            {"rag>postgres": {"protocol": "postgres"}},
            required=True,
        ),
    }
    return Record("link map", fields, about="A link map: which edges of a system go through the fault proxy")


def _edge() -> Record:
    protocols = tuple(one.value for one in Protocol)
    built = (Tls.NONE.value, Tls.PASSTHROUGH.value)
    refused = {Tls.ORIGINATE.value: _NOT_BUILT, Tls.TERMINATE.value: _NOT_BUILT}
    fields = {
        "protocol": Field(
            Choice(what="protocol", words=protocols),
            "How the stream is framed: tcp, http, postgres or nats",
            "http",
            default="tcp",
        ),
        "traced": Field(Flag(), "Callers on this link carry trace context", True, default="false"),
        "untraced": Field(
            untraced_signatures(),
            "Messages of a traced link that need not carry it: signatures as in the wire log, * for anything",
            ["GET /healthz"],
            default="none",
        ),
        "tls": Field(
            Choice(what="tls mode", words=built, refused=refused),
            "What is done with TLS: none, or passthrough (forwarded unread)",
            "passthrough",
            default="none",
        ),
        "server_name": Field(
            Text(wanted="a host name", example="db.example", longest=253, shortest=1),
            "Name for TLS (SNI)",
            "db.example",
        ),
        "listen": Field(
            AddressText(lowest_port=0), "Where the proxy listens", "127.0.0.1:21001", default="a free loopback port"
        ),
        "upstream": Field(
            AddressText(lowest_port=1), "Where the callee is", "127.0.0.1:5432", default="decided at bring-up"
        ),
    }
    return Record("link", fields, about="One edge", renamed={"proto": "protocol", "target": "upstream"})


def _check_name(name: At[str], report: Report) -> None:
    try:
        caller, callee = parse_link_name(name.value)
    except ValueError as error:
        what, _, instead = str(error).partition("; ")
        report.add(name.place, what, instead)
        return
    if name.value != f"{caller}>{callee}" or any(part in ("any", "*") or " " in part for part in (caller, callee)):
        report.add(name.place, f"{name.value!r} is not one link", "name both ends without spaces: rag>postgres")


def _check_server_name(edge: Fields, report: Report) -> None:
    if "server_name" in edge and edge.get("tls", "none") == "none":
        report.add(edge.place_of("server_name"), "a server name without TLS", "add tls: passthrough, or leave it out")


def _check_listeners(edges: dict[str, Fields], report: Report) -> None:
    first: dict[str, str] = {}
    for name, edge in edges.items():
        listen = edge.get("listen")
        if listen is None or listen.endswith(":0"):
            continue
        if listen in first:
            report.add(
                edge.place_of("listen"), f"{first[listen]} listens on {listen} too", "give each link its own port"
            )
        first.setdefault(listen, name)


def _link(name: str, edge: Fields) -> Link:
    return Link(
        name=name,
        protocol=Protocol(edge.get("protocol", "tcp")),
        traced=edge.get("traced", False),
        untraced=tuple(one.value for one in edge.get("untraced", ())),
        tls=Tls(edge.get("tls", "none")),
        server_name=edge.get("server_name"),
        listen=edge.get("listen"),
        upstream=edge.get("upstream"),
    )
