"""From the records of plain workloads to their data, and what must be true between keys and with the link map."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from chaos.model.interpolation import names_in
from chaos.model.link import Link, Protocol, Tls
from chaos.model.plain import (
    Content,
    HttpRequest,
    NatsMessage,
    Payload,
    PlainOperation,
    PlainWorkload,
    SqlStatement,
    TcpScript,
)
from chaos.model.plain_routes import DRIVER, entrance, used_link
from chaos.model.reading.groups import Fields
from chaos.model.reading.plain_shapes import Json
from chaos.model.reading.problems import Report, known, nearest, quote
from chaos.model.reading.system import DERIVED
from chaos.model.scenario import LinkMap
from chaos.model.template import PLACEHOLDERS

__all__ = ["check_plain_links", "read_plain"]

_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_READING = re.compile(r"\s*(select|show|values|table|explain)\b", re.IGNORECASE)
_WITH = re.compile(r"\s*with\b", re.IGNORECASE)
_CHANGES = re.compile(r"\b(insert|update|delete|merge)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})(:[^{{}}]*)?\}}")
_PROTOCOLS = {"http": Protocol.HTTP, "nats": Protocol.NATS, "sql": Protocol.POSTGRES}


def read_plain(fields: Fields, budget_header: str | None, report: Report) -> PlainWorkload | None:
    """What a plain workload does, or None where too little of it could be read. `budget_header` is that of the scenario."""
    kind, written = fields["kind"], fields.get("operations")
    if written is None or "to" not in fields:
        return None
    operations: dict[str, PlainOperation] = {}
    for name, one in written.values():
        operation = _operation(_DOES[kind], one.value, report)
        if operation is not None:
            operations[name.value] = operation
    header = fields["budget_header"] or None if "budget_header" in fields else budget_header
    return PlainWorkload(to=fields["to"], operations=operations, budget_header=header)


def check_plain_links(fields: Fields, link_map: LinkMap, report: Report) -> None:
    """The driver's link to the callee must be in the map and speak the workload's protocol, and `uses` must mean links of the map."""
    to = fields.get("to")
    if to is None:
        return
    front = next((link for link in link_map.links if link.name == entrance(to)), None)
    if front is None:
        report.add(fields.place_of("to"), *_no_entrance(to, link_map))
        return
    _check_protocol(fields, front, report)
    for _, operation in (fields.get("operations") or {}).values():
        for word in operation.value.get("uses") or ():
            if used_link(to, word.value, link_map) is None:
                report.add(word.place, *_no_link(to, word.value, link_map))


def _check_protocol(fields: Fields, front: Link, report: Report) -> None:
    spoken = _PROTOCOLS.get(fields["kind"])
    if spoken is not None and front.protocol not in (spoken, Protocol.TCP):
        what = f"{front.name} is a link of protocol {front.protocol.value}"
        report.add(fields.place_of("to"), what, f"{fields['kind']} operations need one of {spoken.value}, or of tcp")
    if front.tls is not Tls.NONE:
        what = f"{front.name} is a link with TLS, which the driver does not speak"
        report.add(fields.place_of("to"), what, "drive a callee without it, or end TLS in front of it")


def _no_entrance(to: str, link_map: LinkMap) -> tuple[str, str]:
    if link_map.name == DERIVED:
        parts = dict.fromkeys(end for link in link_map.links for end in (link.caller, link.callee) if end != DRIVER)
        return f"the system has no {quote(to)[1:-1]}", known(to, parts) if parts else "name it under system"
    ends = [link.callee for link in link_map.links if link.caller == DRIVER]
    near = nearest(to, ends)
    there_are = f" (there are {', '.join(ends)})" if ends else ""
    instead = f"did you mean {near}?" if near else f"add it to the map, or name another callee{there_are}"
    return f"the map {link_map.name} has no link {entrance(to)}", instead


def _no_link(to: str, word: str, link_map: LinkMap) -> tuple[str, str]:
    if ">" in word:
        return f"no link {quote(word)[1:-1]} in the map {link_map.name}", known(word, link_map.names)
    what = f"{to} has no link to {quote(word)[1:-1]} in the map {link_map.name}"
    others = [link.name for link in link_map.links if link.callee == word and link.caller != DRIVER]
    if others:
        return what, f"name the link that is meant, such as {others[0]}"
    return what, known(word, [link.callee for link in link_map.links if link.caller == to] or link_map.names)


_Does = HttpRequest | NatsMessage | SqlStatement | TcpScript


def _operation(
    does: Callable[[Fields, Report], tuple[_Does, bool] | None], fields: Fields, report: Report
) -> PlainOperation | None:
    read = does(fields, report)
    if read is None:
        return None
    what, writes = read
    uses, effects = fields.get("uses"), fields.get("effects", ())
    return PlainOperation(
        does=what,
        content=_content(fields.get("expect")),
        degraded=fields.get("degraded"),
        uses=None if uses is None else tuple(one.value for one in uses),
        weight=fields.get("weight", 1),
        deadline_ms=fields.get("deadline"),
        writes=fields.get("writes", writes),
        effects=tuple(one.value for one in effects),
    )


def _content(fields: Fields | None) -> Content:
    if fields is None:
        return Content()
    return Content(
        json={path: value.value.value for path, (_, value) in fields.get("json", {}).items()},
        contains=tuple(one.value for one in fields.get("contains", ())),
        ends_with=fields.get("ends_with"),
    )


def _http(fields: Fields, report: Report) -> tuple[HttpRequest, bool] | None:
    if "json" in fields and "body" in fields:
        report.add(fields.place_of("body"), "a body beside json", "keep one of them")
    if "request" not in fields:
        return None
    method, path = fields["request"]
    expect: Fields | None = fields.get("expect")
    statuses = expect.get("status", ()) if expect else ()
    request = HttpRequest(
        method=method,
        path=path,
        headers=_headers(fields),
        body=_payload(fields.get("json"), fields.get("body")),
        statuses=tuple(one.value for one in statuses),
    )
    return request, method in _WRITING


def _nats(fields: Fields, report: Report) -> tuple[NatsMessage, bool] | None:
    publish = fields.wrote("publish")
    if publish == fields.wrote("request"):
        what = "a request and a publish in one" if publish else "neither a request nor a publish"
        report.add(fields.place, f"{what} operation" if publish else what, "write one of request: and publish:")
        return None
    for key in ("jetstream", "completion"):
        if key in fields and not publish:
            report.add(
                fields.place_of(key), f"{key} of a request", "write publish: instead of request:, or leave it out"
            )
    subject = fields.get("publish" if publish else "request")
    if subject is None:
        return None
    payload: Json | None = fields.get("payload")
    text = payload.value if payload is not None and isinstance(payload.value, str) else None
    message = NatsMessage(
        subject=subject,
        publish=publish,
        jetstream=fields.get("jetstream", False),
        completion=fields.get("completion"),
        headers=_headers(fields),
        payload=_payload(None if text is not None else payload, text),
        errors=_errors(fields),
    )
    return message, publish


def _sql(fields: Fields, report: Report) -> tuple[SqlStatement, bool] | None:
    if "query" not in fields:
        return None
    query, args = fields["query"], fields.get("args", ())
    placeholder = _PLACEHOLDER.search(query)
    if placeholder is not None:
        report.add(
            fields.place_of("query"), f"the placeholder {placeholder[0]} in a statement", "write $1, and it under args:"
        )
    if names_in(query):
        what = f"the variable {names_in(query)[0]} in a statement"
        report.add(fields.place_of("query"), what, "write $1, and it under args:")
    wanted = max((int(number) for number in re.findall(r"\$([0-9]{1,4})\b", query)), default=0)
    if wanted != len(args):
        what = f"{len(args)} argument{'' if len(args) == 1 else 's'} for a statement that takes {wanted}"
        report.add(fields.place_of("args"), what, "give args: one value for each of $1, $2, ...")
    expect: Fields | None = fields.get("expect")
    value: Json | None = expect.get("value") if expect else None
    statement = SqlStatement(
        query=query,
        args=tuple(one.value.value for one in args),
        rows=expect.get("rows") if expect else None,
        value=UNSET if value is None else value.value,
    )
    reads = _READING.match(query) or (_WITH.match(query) and not _CHANGES.search(query))
    return statement, not reads


def _tcp(fields: Fields, report: Report) -> tuple[TcpScript, bool] | None:
    steps = tuple(one.value for one in fields.get("script", ()))
    if not steps:
        return None
    if all(one.act == "send" for one in steps):
        report.add(
            fields.place_of("script"), "a script that expects nothing", "add a step expect: what the server says"
        )
    return TcpScript(steps=steps, keep=fields.get("keep", False), errors=_errors(fields)), False


_DOES: dict[str, Callable[[Fields, Report], tuple[_Does, bool] | None]] = {
    "http": _http,
    "nats": _nats,
    "sql": _sql,
    "tcp": _tcp,
}


def _headers(fields: Fields) -> dict[str, str]:
    return {name: value.value for name, (_, value) in fields.get("headers", {}).items()}


def _errors(fields: Fields) -> dict[str, int]:
    return {pattern: status.value for pattern, (_, status) in fields.get("errors", {}).items()}


def _payload(json: Json | None, text: Any) -> Payload | None:
    if json is not None:
        return Payload(json=json.value)
    return None if text is None else Payload(text=text)
