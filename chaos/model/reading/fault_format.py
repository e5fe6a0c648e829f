"""The form of a fault: common keys, and the attributes of its kind in human units."""

from __future__ import annotations

from typing import Any

from chaos.model.fault import FAULT_KINDS, Attribute, FaultKind, Stream
from chaos.model.reading.groups import Field, OneOrMany, Record, Variants
from chaos.model.reading.limits import MAX_AT_ONCE, MAX_TIMELINE_MS
from chaos.model.reading.measured import ByteRate, Duration, Size
from chaos.model.reading.message_format import picking_fields
from chaos.model.reading.plain import Choice, Flag, Fraction, Name, Text
from chaos.model.reading.shape import Shape
from chaos.model.reading.vocabulary import Vocabulary

__all__ = ["fault_format"]

_EXAMPLES = {"ms": "300ms", "us": "500us", "bytes": "64KB", "KB/s": "100KB/s", "ppm": "1%", "flag": True}
# Left out, these would stall or close at once, which is rarely what was meant: they must be written.
_MUST = {("bandwidth", "rate"), ("limit_data", "bytes"), ("hold", "hold")}
_STREAMS = (Stream.UPSTREAM.value, Stream.DOWNSTREAM.value)
_BOTH = {"both": "write two faults, one with stream: upstream and one with stream: downstream"}


def fault_format(vocabulary: Vocabulary) -> Variants:
    """All fault kinds, told apart by `fault`."""
    attributes = {name for kind in vocabulary.faults.values() for name in kind.attributes}
    return Variants(
        "fault",
        "fault",
        {kind.name: _record(kind, attributes) for kind in vocabulary.faults.values()},
        ("type", "kind"),
    )


def _record(kind: FaultKind, all_attributes: set[str]) -> Record:
    fields = {"fault": Field(Choice(what="fault", words=(kind.name,)), "The kind", kind.name, required=True)}
    fields |= _COMMON
    if kind.takes_stream:
        fields["stream"] = Field(
            Choice(what="stream", words=_STREAMS, refused=_BOTH),
            "Direction it works on: upstream is caller to callee",
            "upstream",
            default="downstream",
        )
    if kind.name != "refuse":
        fields["toxicity"] = Field(
            Fraction(example="50%", above=True),
            "Share of connections it acts on; of messages, if it acts on single ones",
            "50%",
            default="100%",
        )
    fields |= picking_fields(kind)
    attributes = {name: _attribute(kind, name, one) for name, one in kind.attributes.items()}
    return Record(
        f"{kind.name} fault",
        fields | attributes,
        about=_sentence(kind.about),
        moved=_moved(kind, all_attributes),
        renamed=_SYNONYMS,
    )


_COMMON: dict[str, Field] = {
    "name": Field(
        Name(reserved=("none", "all")),
        "Its name in reports, unique in the file",
        "slow-postgres",
        default="the kind, then kind-2, kind-3",
    ),
    "on": Field(
        OneOrMany(Text(wanted="a link", example="rag>postgres", longest=200), "link", MAX_AT_ONCE),
        "Links it acts on: one name or pattern (caller>callee, with any on either side), or a list of them",
        "rag>postgres",
        required=True,
    ),
    "at": Field(
        Duration(most_ms=MAX_TIMELINE_MS, example="2s"),
        "When it starts, from the start of the timeline (the baseline is steady then)",
        "2s",
        default="0s",
    ),
    "for": Field(Duration(least_ms=1, most_ms=MAX_TIMELINE_MS, example="4s"), "How long it lasts", "4s", required=True),
}


def _attribute(kind: FaultKind, name: str, attribute: Attribute) -> Field:
    required = attribute.default < attribute.minimum or (kind.name, name) in _MUST
    default = "" if required else "false" if attribute.unit == "flag" else _default(attribute)
    shape, example = _shape(attribute), _EXAMPLES[attribute.unit]
    return Field(shape, _sentence(attribute.about), example, required=required, default=default)


def _default(attribute: Attribute) -> str:
    return f"{attribute.default}{attribute.unit}" if attribute.default else "0"


def _shape(attribute: Attribute) -> Shape[Any]:
    example = str(_EXAMPLES[attribute.unit])
    match attribute.unit:
        case "ms":
            return Duration(least_ms=attribute.minimum, most_ms=MAX_TIMELINE_MS, example=example, whole_us=1000)
        case "us":
            return Duration(least_ms=attribute.minimum / 1000, most_ms=60_000, example=example, whole_us=1)
        case "bytes":
            return Size(least=attribute.minimum)
        case "KB/s":
            return ByteRate()
        case "ppm":
            return Fraction(example=example, above=attribute.minimum > 0)
        case "flag":
            return Flag()
    raise ValueError(f"no shape for the unit {attribute.unit!r}")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


# Words for keys from elsewhere that people try.
_SYNONYMS = {
    "match": "operation",
    "link": "on",
    "links": "on",
    "duration": "for",
    "start": "at",
    "type": "fault",
    "kind": "fault",
}


_OF_MESSAGES = tuple(kind.name for kind in FAULT_KINDS.values() if kind.of_messages)


def _moved(kind: FaultKind, all_attributes: set[str]) -> dict[str, str]:
    """Keys that are right for other kinds only."""
    own = f"{kind.name} takes {', '.join(kind.attributes) or 'no attributes'}"
    words = dict.fromkeys(sorted(all_attributes), own) | {
        "attributes": f"write them beside the other keys, {own}",
        "stream": f"{kind.name} acts on whole connections, leave stream out",
        "toxicity": f"{kind.name} acts on the listener, leave toxicity out",
    }
    if not kind.of_messages:
        words["phase"] = (
            f"{kind.name} acts on bytes or connections, leave phase out; {', '.join(_OF_MESSAGES)} act on messages"
        )
    if not kind.picks:
        words |= dict.fromkeys(("operation", "count", "per"), f"{kind.name} acts on the whole link, leave it out")
    return {key: text for key, text in words.items() if key not in kind.attributes}
