"""From the records of a timeline to faults: names given, patterns resolved, what cannot be together refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from chaos.model.duration import format_ms
from chaos.model.fault import FaultSpec, Stream
from chaos.model.reading.groups import Fields
from chaos.model.reading.limits import MAX_AT_ONCE, MAX_FAULT_MS, MAX_TIMELINE_MS
from chaos.model.reading.message_faults import check_messages
from chaos.model.reading.problems import Place, Report
from chaos.model.reading.resolve_links import resolve_patterns
from chaos.model.reading.shape import At
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import LinkMap

__all__ = ["read_faults"]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A fault as far as it could be read, and where."""

    spec: FaultSpec
    fields: Fields


def read_faults(
    records: Sequence[At[Fields]], link_map: LinkMap | None, vocabulary: Vocabulary, report: Report
) -> tuple[FaultSpec, ...]:
    """The faults that could be read. Without a link map, patterns stay unresolved (that problem is reported already)."""
    names = _names([one.value for one in records], report)
    placed = tuple(
        _read(one.value, name, link_map, vocabulary, report) for one, name in zip(records, names, strict=True)
    )
    faults = [one for one in placed if one is not None]
    for one in faults:
        _check_end(one, report)
        _check_attributes(one, report)
    _check_overlaps(faults, report)
    _check_amount(faults, report)
    return tuple(one.spec for one in faults)


def _names(records: Sequence[Fields], report: Report) -> list[str]:
    """Names as written; the others are the kind, then kind-2, kind-3."""
    taken: dict[str, Place] = {}
    for one in records:
        name = one.get("name")
        if name in taken:
            instead = f"give each fault its own name (the first stands on line {taken[name].line})"
            report.add(one.place_of("name"), f"the fault name {name} stands twice", instead)
        elif name is not None:
            taken[name] = one.place_of("name")
    names = set(taken)
    return [one.get("name") or _free_name(str(one.get("fault", "fault")), names) for one in records]


def _free_name(kind: str, taken: set[str]) -> str:
    number, name = 1, kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    taken.add(name)
    return name


def _read(
    fields: Fields, name: str, link_map: LinkMap | None, vocabulary: Vocabulary, report: Report
) -> _Placed | None:
    patterns = fields.get("on", ())
    links = tuple(one.value for one in patterns)
    if link_map is not None:
        links = resolve_patterns(patterns, link_map, report)
    if not {"fault", "for"} <= fields.values.keys():
        return None
    kind = vocabulary.faults[fields["fault"]]
    if kind.name == "error" and "answer" not in fields:
        return None
    spec = FaultSpec(
        name=name,
        kind=kind.name,
        links=links,
        at_ms=fields.get("at", 0.0),
        for_ms=fields["for"],
        stream=Stream(fields.get("stream", Stream.DOWNSTREAM.value)),
        toxicity=fields.get("toxicity", 1.0),
        attributes={key: _integer(fields[key], one.unit) for key, one in kind.attributes.items() if key in fields},
        phase=fields.get("phase", ""),
        operation=fields.get("operation", ""),
        count={word: number.value for word, (_, number) in fields.get("count", {}).items()},
        per=fields.get("per", ""),
        answer=fields.get("answer", ""),
    )
    if link_map is not None:
        check_messages(spec, fields, link_map, report)
    return _Placed(spec, fields)


# What one of the unit that is written comes to: milliseconds as microseconds, shares as parts in a million.
_PARTS = {"us": 1000, "ppm": 1_000_000}


def _integer(value: float, unit: str) -> int:
    return round(value * _PARTS.get(unit, 1))


def _check_end(one: _Placed, report: Report) -> None:
    if one.spec.end_ms > MAX_TIMELINE_MS:
        what = f"{one.spec.name} ends at {format_ms(one.spec.end_ms)}"
        report.add(one.fields.place_of("for"), what, f"a timeline is at most {format_ms(MAX_TIMELINE_MS)} long")


def _check_attributes(one: _Placed, report: Report) -> None:
    size, variation = (one.spec.attributes.get(key, 0) for key in ("average_size", "size_variation"))
    if one.spec.kind == "slicer" and size and variation >= size:
        instead = f"write less than average_size ({size}B)"
        report.add(one.fields.place_of("size_variation"), "size_variation is not below average_size", instead)


def _check_overlaps(faults: Sequence[_Placed], report: Report) -> None:
    for first, second in combinations(faults, 2):
        one, other = first.spec, second.spec
        same = _doing(one) == _doing(other)
        together = one.at_ms < other.end_ms and other.at_ms < one.end_ms
        shared = [link for link in one.links if link in other.links]
        if same and together and shared:
            what = f"{other.name} overlaps {one.name}: two {one.kind} faults at once on {shared[0]}"
            free = f"start it at {format_ms(one.end_ms)} or later, or put it on another link"
            report.add(second.fields.place_of("at"), what, free)


def _doing(one: FaultSpec) -> tuple[object, ...]:
    """What must not be there twice at once: on messages, the same thing at the same moment of the same operations."""
    if one.of_messages:
        return (one.kind, one.moment, one.operation, one.answer)
    return (one.kind, one.stream, one.operation)


def _check_amount(faults: Sequence[_Placed], report: Report) -> None:
    total = sum(one.spec.for_ms * len(one.spec.links) for one in faults)
    if total > MAX_FAULT_MS:
        what = f"the faults last {format_ms(total)} in all, summed over links"
        report.add(faults[0].fields.place, what, f"keep within {format_ms(MAX_FAULT_MS)}")
    for one in faults:
        if (count := sum(_active_at(one.spec.at_ms, faults))) > MAX_AT_ONCE:
            what = f"{count} faults are active at {format_ms(one.spec.at_ms)} (each link counts)"
            report.add(one.fields.place, what, f"keep within {MAX_AT_ONCE} at once")
            return


def _active_at(at_ms: float, faults: Sequence[_Placed]) -> Iterator[int]:
    return (len(one.spec.links) for one in faults if one.spec.at_ms <= at_ms < one.spec.end_ms)
