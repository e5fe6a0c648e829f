"""The form of effects: what operations leave in the stores of a system of one's own, so that it can be counted when the load is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.model.effect import EffectKind, Ledger, OpIdIn, SqlRead, StreamRead, Unfinished
from chaos.model.reading.groups import Either, Field, Fields, ListOf, MapOf, Record
from chaos.model.reading.nodes import Node
from chaos.model.reading.plain import Flag, Name, Text, Whole
from chaos.model.reading.problems import Place, Report, known, quote
from chaos.model.reading.shape import At, Schema, refuse
from chaos.model.system import SystemModel

__all__ = ["check_effects", "effects_fields", "read_ledger"]

_MOST = 32
_FORMS = "write op_id: baggage, {header: X-Op-Id}, {json: data.op_id} or {subject: -1}"


def effects_fields() -> dict[str, Field]:
    """The keys of the scenario."""
    return {
        "effects": Field(
            MapOf(_effect(), "effect", keys=Name(), most=_MOST),
            "What operations leave in the stores, each named in `effects` of the operations that leave it, exactly once",
            {"orders": {"sql": "select op_id from orders"}},
            default="none: whether effects are lost or doubled is not judged",
        ),
        "unfinished": Field(
            MapOf(_sql("select count(*) from outbox"), "query", keys=Name(), most=_MOST),
            "Queries for one number that is 0 once nothing more will change: waited for before effects are counted",
            {"outbox": "select count(*) from outbox"},
        ),
        "streams": Field(
            ListOf(_stream("ORDERS"), "stream", _MOST, least=0),
            "JetStream: whose consumers must have worked off everything before effects are counted",
            ["ORDERS"],
            default="all",
        ),
    }


def _sql(example: str) -> Text:
    return Text(wanted="a query", example=example, longest=4000, shortest=1)


def _stream(example: str) -> Text:
    return Text(wanted="the name of a stream", example=example, longest=255, shortest=1)


def _effect() -> Record:
    fields = {
        "sql": Field(
            _sql("select op_id from orders"),
            "Postgres: a row for each effect: the op id, and a count if it counts",
            "select op_id from orders",
        ),
        "stream": Field(
            _stream("EVENTS"),
            "JetStream: each message is one effect",
            "EVENTS",
        ),
        "op_id": Field(
            Either(OpIdBaggage(), _op_id()),
            "Where in a message the op id stands",
            {"json": "data.op_id"},
            default="baggage (op.id)",
        ),
        "subjects": Field(
            Text(wanted="a subject", example="orders.>", longest=255, shortest=1),
            "Only messages on this subject",
            "orders.>",
            default="all",
        ),
        "about": Field(
            Text(longest=80),
            "What one is called in a sentence",
            "row of orders",
            default="its name, and `row` or `message`",
        ),
        "at_least_once": Field(Flag(), "More than one is right as well", True, default="false"),
    }
    return Record(
        "effect", fields, about="One kind of effect: rows of a query, or messages of a stream", renamed={"query": "sql"}
    )


def _op_id() -> Record:
    fields = {
        "header": Field(
            Text(wanted="a header", example="X-Op-Id", longest=100, shortest=1), "A header of the message", "X-Op-Id"
        ),
        "json": Field(
            Text(wanted="a path", example="data.op_id", longest=200, shortest=1),
            "A member of the JSON payload",
            "data.op_id",
        ),
        "subject": Field(
            Whole(least=-64, most=64, example=-1), "A token of the subject, from 1, or from the end with -1", -1
        ),
        "baggage": Field(
            Text(wanted="a member", example="op.id", longest=100, shortest=1), "A member of the baggage header", "op.id"
        ),
    }
    return Record("place of the op id", fields, about="One of header, json, subject and baggage")


class OpIdBaggage:
    """The word `baggage`."""

    def read(self, node: Node, report: Report) -> str | None:
        """The word."""
        text = Text(wanted="a place of the op id", example="baggage").read(node, report)
        if text is not None and text != "baggage":
            refuse(node, report, "a place of the op id", _FORMS.removeprefix("write "))
            return None
        return text

    def schema(self) -> Schema:
        """One word."""
        return {"type": "string", "enum": ["baggage"]}


def read_ledger(fields: Fields, report: Report) -> Ledger:
    """The effects that could be read, and what must be at rest before they are counted."""
    effects: Mapping[str, tuple[At[str], At[Fields]]] = fields.get("effects", {})
    unfinished: Mapping[str, tuple[At[str], At[str]]] = fields.get("unfinished", {})
    streams: Sequence[At[str]] | None = fields.get("streams")
    found = (_read(name, value.value, report) for name, (_, value) in effects.items())
    return Ledger(
        effects=tuple(one for one in found if one is not None),
        unfinished=tuple(Unfinished(name=name, sql=value.value) for name, (_, value) in unfinished.items()),
        streams=None if streams is None else tuple(one.value for one in streams),
    )


def _read(name: str, fields: Fields, report: Report) -> EffectKind | None:
    if ("sql" in fields) == ("stream" in fields):
        report.add(
            fields.place, f"the effect {name} is read from one place", "write sql (Postgres) or stream (JetStream)"
        )
        return None
    if "sql" in fields:
        for key in ("op_id", "subjects"):
            if key in fields:
                report.add(
                    fields.place_of(key),
                    f"{key} belongs to messages",
                    "name the op id in the query: select op_id from ...",
                )
        read: SqlRead | StreamRead = SqlRead(sql=fields["sql"])
    else:
        place, key = _place(fields.get("op_id", "baggage"), fields.place_of("op_id"), report)
        read = StreamRead(stream=fields["stream"], op_id_in=place, key=key, subjects=fields.get("subjects", ""))
    return EffectKind(
        name=name,
        about=fields.get("about", f"{name} {'row' if isinstance(read, SqlRead) else 'message'}"),
        store="postgres" if isinstance(read, SqlRead) else "nats",
        read=read,
        at_least_once=fields.get("at_least_once", False),
    )


def _place(written: str | Fields, place: Place, report: Report) -> tuple[OpIdIn, str]:
    if isinstance(written, str):
        return OpIdIn.BAGGAGE, "op.id"
    named = [one for one in OpIdIn if one.value in written]
    if len(named) != 1 or written[named[0].value] == 0:
        report.add(place, "the op id stands in one place", _FORMS)
        return OpIdIn.BAGGAGE, "op.id"
    return named[0], str(written[named[0].value])


def check_effects(
    ledger: Ledger, system: SystemModel, fields: Fields, used: Sequence[tuple[str, Place]], report: Report
) -> None:
    """Every effect an operation names is declared, every declared one is left by somebody, and its store is there."""
    names = list(fields.get("effects", {}))
    for name, place in used:
        if name not in names:
            instead = known(name, names) if names else f"declare it under effects, by a query or a stream: {name}: ..."
            report.add(place, f"there is no effect {quote(name)}", instead)
    written: Mapping[str, tuple[At[str], At[Fields]]] = fields.get("effects", {})
    for effect in ledger.effects:
        key = written[effect.name][0]
        if effect.store not in system.stores:
            report.add(
                key.place,
                f"the system has no {effect.store} to read {effect.name} from",
                f"add {effect.store} to the system",
            )
        elif effect.name not in [name for name, _ in used]:
            report.add(
                key.place,
                f"no operation leaves the effect {effect.name}",
                f"add effects: [{effect.name}] to the operation that does",
            )
