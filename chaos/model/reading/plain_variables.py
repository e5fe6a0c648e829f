"""Variables that operations ask for: each must be set, and say what may stand where it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from chaos.model.interpolation import names_in
from chaos.model.plain import HttpRequest, NatsMessage, PlainOperation, PlainWorkload, variables_of
from chaos.model.reading.groups import Fields
from chaos.model.reading.problems import Report

__all__ = ["check_variables"]

_OF_HEADERS = re.compile(r"[\x20-\x7e]*")
_OF_SUBJECTS = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")


def check_variables(fields: Fields, plain: PlainWorkload, environment: Mapping[str, str], report: Report) -> None:
    """What a variable says is not told."""
    for name, (key, _) in (fields.get("operations") or {}).items():
        operation = plain.operations.get(name)
        for what, instead in _problems(operation, environment) if operation else ():
            report.add(key.place, what, instead)


def _problems(operation: PlainOperation, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    in_headers = {name for text in _headers(operation) for name in names_in(text)}
    in_subjects = {name for text in _subjects(operation) for name in names_in(text)}
    for name in variables_of(operation):
        value = environment.get(name)
        if value is None:
            yield f"the variable {name} is not set", f"export it, or write ${{{{{name}}}}} for plain text"
        elif any("\ud800" <= character <= "\udfff" for character in value):
            yield f"the variable {name} is not UTF-8", "set it to text"
        elif name in in_headers and not _OF_HEADERS.fullmatch(value):
            what = f"the variable {name} says what cannot stand in a header"
            yield what, "set it to one line of printable ASCII, or send it in the body"
        elif name in in_subjects and not _OF_SUBJECTS.fullmatch(value):
            yield (
                f"the variable {name} says what cannot stand in a subject",
                "set it to tokens and dots, such as orders.place",
            )


def _headers(operation: PlainOperation) -> Iterator[str]:
    if isinstance(operation.does, HttpRequest | NatsMessage):
        yield from operation.does.headers.values()


def _subjects(operation: PlainOperation) -> Iterator[str]:
    if isinstance(operation.does, NatsMessage):
        yield from (operation.does.subject, operation.does.completion or "")
