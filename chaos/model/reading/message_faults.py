"""Faults on messages, checked against the links they are put on: what a protocol cannot do is refused with what would do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos.model.fault import FaultSpec, Phase
from chaos.model.link import Link, Protocol, Tls
from chaos.model.reading.groups import Fields
from chaos.model.reading.problems import Report, quote
from chaos.model.scenario import LinkMap

__all__ = ["check_messages"]

_NAMING = frozenset({Protocol.HTTP, Protocol.NATS})
_HTTP_STATUS = re.compile(r"[45][0-9]{2}")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_NATS_ANSWER = re.compile(r"no-responders|js-[0-9]{3}(?:-[0-9]{5})?|-ERR .+")
_Trouble = tuple[str, str, str]
"""The key it is about, what is wrong, what to write instead."""


def check_messages(spec: FaultSpec, fields: Fields, link_map: LinkMap, report: Report) -> None:
    """Report what the fault cannot do on its links, once for each key."""
    if not (spec.of_messages or spec.operation or spec.count or spec.per):
        return
    links = {link.name: link for link in link_map.links}
    troubles = [*_alone(spec)]
    for name in spec.links:
        if name in links:
            troubles += _on_link(spec, links[name])
    told: set[str] = set()
    for key, what, instead in troubles:
        if key not in told:
            told.add(key)
            report.add(fields.place_of(key), what, instead)


def _alone(spec: FaultSpec) -> Iterator[_Trouble]:
    """What is wrong whatever the link."""
    if spec.per and not spec.count:
        yield "per", "per says where a count begins anew", "add count: {first: 1}, or leave per out"
    if spec.of_messages and spec.moment[0] is Phase.CONNECT:
        if spec.operation:
            yield (
                "operation",
                "a connection is made before any operation",
                "leave operation out, or write phase: before",
            )
        if spec.per not in {"", "link"}:
            yield "per", "connections are counted for the whole link", "leave per out"


def _on_link(spec: FaultSpec, link: Link) -> Iterator[_Trouble]:
    protocol = link.protocol if link.tls is Tls.NONE else Protocol.TCP
    if protocol is Protocol.TCP:
        yield from _unframed(spec, link)
        return
    if protocol not in _NAMING and (spec.per == "operation" or spec.operation.startswith("op:")):
        key = "per" if spec.per == "operation" else "operation"
        yield (
            key,
            f"a message on {link.name} does not say which operation it belongs to",
            "count per link or connection",
        )
    if spec.of_messages:
        yield from _phase(spec, link, protocol)
    if spec.kind == "error":
        yield from _answer(spec, link, protocol)


def _unframed(spec: FaultSpec, link: Link) -> Iterator[_Trouble]:
    if spec.of_messages or spec.operation or spec.per == "operation":
        why = "is encrypted" if link.tls is not Tls.NONE else "is plain tcp"
        yield (
            "on",
            f"{link.name} {why}, so that its messages cannot be told apart",
            "use a fault on bytes or connections, or name its protocol (http, postgres, nats) in the link map",
        )


def _phase(spec: FaultSpec, link: Link, protocol: Protocol) -> Iterator[_Trouble]:
    phase, _ = spec.moment
    if spec.kind == "duplicate" and protocol is not Protocol.NATS:
        yield "fault", f"a message on {link.name} cannot come twice", "duplicate works on nats links"
    elif phase is Phase.DURING and protocol is Protocol.NATS:
        yield "phase", f"an answer on {link.name} is one message, it has no items", "write before or after"
    elif spec.kind == "error" and protocol is Protocol.HTTP and phase is Phase.DURING:
        yield "phase", "an HTTP status goes ahead of the answer", "write before or after, or use cut or malform"
    elif spec.kind == "error" and protocol is Protocol.HTTP and phase is Phase.CONNECT:
        yield "phase", "HTTP says nothing when a connection is made", "write before"


def _answer(spec: FaultSpec, link: Link, protocol: Protocol) -> Iterator[_Trouble]:
    pattern, wanted = {
        Protocol.HTTP: (_HTTP_STATUS, "an HTTP status from 400 to 599, such as 429"),
        Protocol.POSTGRES: (_SQLSTATE, "an SQLSTATE in quotes, such as '40001'"),
        Protocol.NATS: (_NATS_ANSWER, "no-responders, js-503 (of JetStream), or -ERR and a text"),
    }[protocol]
    if not pattern.fullmatch(spec.answer):
        yield "answer", f"{link.name} cannot answer {quote(spec.answer)}", f"write {wanted}"
    if "retry_after" in spec.attributes and protocol is not Protocol.HTTP:
        yield "retry_after", f"{link.name} has no way to ask for a pause", "leave retry_after out"
