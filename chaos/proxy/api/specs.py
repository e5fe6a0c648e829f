"""Toxics as they are asked for: from a decoded body to a spec, in 2.12's order of checks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from chaos.proxy.api.bodies import ToxicBody, decode_attributes, take_toxic
from chaos.proxy.api.gojson import BodyError, kind
from chaos.proxy.errors import DataPlaneError, InToxicError, InvalidStreamError, InvalidToxicTypeError, ToxicExistsError
from chaos.proxy.settings import STREAMS, ToxicSpec
from chaos.proxy.toxics import TOXIC_TYPES

__all__ = ["to_spec", "to_specs"]


def to_spec(body: ToxicBody, taken: Collection[str]) -> ToxicSpec:
    """One toxic; `taken` are the names that there are. Raises DataPlaneError: stream, type, name; then BodyError: attributes."""
    stream = "downstream" if body.stream is None else body.stream
    if stream.lower() not in STREAMS:
        raise InvalidStreamError
    known = TOXIC_TYPES.get(body.type)
    if known is None:
        raise InvalidToxicTypeError
    name = body.name or f"{body.type}_{stream}"
    if name in taken:
        raise ToxicExistsError
    given: dict[str, Any] = dict(body.extensions)
    return ToxicSpec(
        type=body.type,
        name=name,
        stream=stream,
        toxicity=1.0 if body.toxicity is None else body.toxicity,
        attributes=decode_attributes(body.attributes, body.type, known.attributes.__struct_fields__),
        **given,
    )


def to_specs(value: Any) -> tuple[ToxicSpec, ...]:
    """The toxics of a proxy's body. Raises BodyError and InToxicError, which say at which toxic, from 1."""
    if value is None:
        return ()
    if kind(value) != "array":
        raise BodyError(
            f"json: cannot unmarshal {kind(value)} into Go struct field Proxy.toxics of type []ToxicWrapper"
        )
    specs: list[ToxicSpec] = []
    for number, item in enumerate(value, start=1):
        try:
            specs.append(to_spec(take_toxic(item), [spec.name for spec in specs]))
        except BodyError as error:
            raise BodyError(f"{error} at toxic {number}") from error
        except DataPlaneError as error:
            raise InToxicError(error, number) from error
    return tuple(specs)
