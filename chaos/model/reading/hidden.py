"""Values of the environment that cannot be hidden in the record: they stand in its own words, or in a name of the scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaos.model.interpolation import names_in
from chaos.model.plain import variables_of
from chaos.model.reading.groups import Fields
from chaos.model.reading.problems import Place, Report
from chaos.model.reading.shape import At
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import Scenario
from chaos.model.secrecy import FORMAT_WORDS, names_of, word_with, worth_hiding
from chaos.model.system import LOCAL

__all__ = ["check_hidden"]


def check_hidden(scenario: Scenario, fields: Fields, vocabulary: Vocabulary, report: Report) -> None:
    """Refuse a `${NAME}` whose value would take words of the record with it."""
    names = tuple(names_of(scenario))
    words = (*vocabulary.oracles, *(kind.name for kind in vocabulary.workloads), *vocabulary.operations, *FORMAT_WORDS)
    for name, place in dict.fromkeys((*_of_system(scenario, fields), *_of_workloads(scenario, fields))):
        value = vocabulary.environment.get(name, "")
        if not worth_hiding(value):
            continue
        where = f"the name {found}" if (found := word_with(value, names)) else ""
        where = where or (f"{found}, a word of the record" if (found := word_with(value, words)) else "")
        if where:
            what = f"what {name} says stands in {where}, and cannot be hidden without it"
            report.add(
                place, what, "let it say something longer, or write the value out: what stands here is no secret"
            )


def _of_system(scenario: Scenario, fields: Fields) -> Iterator[tuple[str, Place]]:
    written = fields.get("system")
    if scenario.own is None or not isinstance(written, Fields):
        return
    for store, url in scenario.own.stores.items():
        for name in names_in(url) if url != LOCAL else ():
            yield name, written.place_of(store)
    for _, service in written.get("services", {}).values():
        for word in service.value.get("command", ()):
            for name in names_in(word):
                yield name, service.value.place_of("command")
        for _, text in service.value.get("env", {}).values():
            for name in names_in(text.value):
                yield name, text.place


def _of_workloads(scenario: Scenario, fields: Fields) -> Iterator[tuple[str, Place]]:
    records: Sequence[At[Fields]] = fields.get("workloads", ())
    for spec, record in zip(scenario.workloads, records, strict=True):
        for name, (key, _) in (record.value.get("operations") or {}).items():
            operation = spec.plain.operations.get(name) if spec.plain is not None else None
            for variable in variables_of(operation) if operation is not None else ():
                yield variable, key.place
