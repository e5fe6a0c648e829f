"""Filling in a scenario's templates: compiled once, then a function of the operation alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from chaos.model.plain import Payload
from chaos.model.template import VARIABLE, Part, Placeholder, parse_template
from chaos.workloads.call import Call

__all__ = ["Fill", "fill_json", "fill_parts", "fill_payload", "fill_text", "tells_operation"]

Fill = Callable[[Call], str]
"""The text for an operation."""

_TELLING = frozenset({"op_id", "index", "nonce", "trace_id"})
_FACTS: dict[str, Fill] = {
    "op_id": lambda call: call.op_id,
    "nonce": lambda call: call.nonce,
    "trace_id": lambda call: call.trace_id,
    "workload": lambda call: call.workload,
}


def fill_text(text: str) -> Fill:
    """The template's text for an operation."""
    return fill_parts(parse_template(text))


def fill_parts(parts: tuple[Part, ...], quote: Callable[[str], str] = str) -> Fill:
    """The same from the parts of a template; `quote` is applied to what is filled in."""
    if all(isinstance(one, str) for one in parts):
        constant = "".join(one for one in parts if isinstance(one, str))
        return lambda _call: constant
    pieces = tuple(one if isinstance(one, str) else _value(one) for one in parts)
    return lambda call: "".join([one if isinstance(one, str) else quote(str(one(call))) for one in pieces])


def fill_json(value: Any) -> Callable[[Call], Any]:
    """The JSON value for an operation. A text that is nothing but `{int:...}` or `{index}` becomes a number."""
    if isinstance(value, str):
        parts = parse_template(value)
        lone = parts[0] if len(parts) == 1 else None
        return _value(lone) if isinstance(lone, Placeholder) else fill_parts(parts)
    if isinstance(value, list):
        items = [fill_json(one) for one in value]
        return lambda call: [one(call) for one in items]
    if isinstance(value, dict):
        members = {key: fill_json(one) for key, one in value.items()}
        return lambda call: {key: one(call) for key, one in members.items()}
    return lambda _call: value


def fill_payload(payload: Payload | None) -> Callable[[Call], bytes]:
    """The bytes of a body for an operation."""
    if payload is None:
        return lambda _call: b""
    if payload.text is not None:
        text = fill_text(payload.text)
        return lambda call: text(call).encode()
    value = fill_json(payload.json)
    return lambda call: msgspec.json.encode(value(call))


def tells_operation(text: str) -> bool:
    """Whether the template's text tells the operation."""
    return any(isinstance(one, Placeholder) and one.name in _TELLING for one in parse_template(text))


def _value(one: Placeholder) -> Callable[[Call], Any]:
    """Text, or a number for a numeric placeholder."""
    if one.name == "index":
        return lambda call: call.index
    if one.name == VARIABLE:
        return lambda call: call.environment[one.text]
    if one.name == "choice":
        return lambda call: one.words[_draw(call, one.text, len(one.words))]
    if one.name == "int":
        return lambda call: one.least + _draw(call, one.text, one.most - one.least + 1)
    return _FACTS[one.name]


def _draw(call: Call, text: str, count: int) -> int:
    """A number below `count`: the same for the same placeholder of an operation, on every night."""
    digest = hashlib.sha256("\x1f".join((str(call.seed), call.op_id, text)).encode()).digest()
    return int.from_bytes(digest[:8]) % count
