"""JSON as Go's encoding/json reads and writes it, as far as clients of Toxiproxy 2.12 can see. Pure.

Reading: only the first value counts, keys match whatever their case, `null` means absent, the last of equal keys wins, integers are
integers by their spelling (`100.0` is none). Writing: `<`, `>` and `&` escaped, float32 in its shortest form.
Texts of syntax errors agree with Go's in their beginning (`bad request body: `) and, where cheap, in full.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = [
    "BodyError",
    "GoField",
    "Pairs",
    "decode_fields",
    "decode_value",
    "dump",
    "float32_text",
    "kind",
    "take_float32",
]

GoField = tuple[str, str]
"""A field's Go type (`string`, `bool`, `int64`, `float32`, `float64`) or `raw`, and where it stands: `Proxy.enabled`."""

_SPACE = re.compile(r"[ \t\n\r]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LITERALS = ("true", "false", "null")
_INTEGER = re.compile(r"-?\d+")
_INT64 = range(-(2**63), 2**63)
_MAX_FLOAT32 = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class BodyError(ValueError):
    """A body that Go would refuse; the text is what stands after `bad request body: `.

    `decoded` holds the members that were read before the wrong one: 2.12 keeps them.
    """

    decoded: Mapping[str, Any] = MappingProxyType({})


class Pairs(list[tuple[str, Any]]):
    """A JSON object: its members in order, equal keys kept."""


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _no_constant(text: str) -> Any:
    raise BodyError(f"invalid character '{text[0]}' looking for beginning of value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant, strict=True
)


def decode_value(body: bytes) -> Any:
    """The first JSON value of a body; what follows it is not looked at. Raises BodyError."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise BodyError("invalid character 'ï' looking for beginning of value")
    text = body.decode("utf-8", "replace")
    start = _SPACE.match(text)
    at = start.end() if start else 0
    if at == len(text):
        raise BodyError("EOF")
    try:
        value, _ = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise BodyError(_syntax_text(text, error)) from None
    except RecursionError:
        raise BodyError("exceeded max depth") from None
    return value


def _syntax_text(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos :]
    unterminated = error.msg.startswith("Unterminated string") or "escape" in error.msg
    if not rest.strip(" \t\n\r") or unterminated or rest == "-" or any(word.startswith(rest) for word in _LITERALS):
        return "unexpected EOF"
    if error.msg == "Expecting value":
        return f"invalid character {_quoted(rest[0])} looking for beginning of value"
    if "property name" in error.msg:
        return f"invalid character {_quoted(rest[0])} looking for beginning of object key string"
    if "':'" in error.msg:
        return f"invalid character {_quoted(rest[0])} after object key"
    if "control character" in error.msg:
        return f"invalid character {_quoted(rest[0])} in string literal"
    return f"invalid character {_quoted(rest[0])} after a value"


def _quoted(character: str) -> str:
    return "'\\''" if character == "'" else f"'{character}'"


def decode_fields(value: Any, fields: Mapping[str, GoField], type_name: str, *, field: str = "") -> dict[str, Any]:
    """The members of an object that `fields` names (by JSON name), typed; absent and null ones are left out.

    `type_name` is the Go type of the object and `field` its place, for the texts. Raises BodyError for the first member of a
    wrong type.
    """
    found: dict[str, Any] = {}
    if value is None:
        return found
    if not isinstance(value, Pairs):
        place = f"Go struct field {field} of type {type_name}" if field else f"Go value of type {type_name}"
        raise BodyError(f"json: cannot unmarshal {kind(value)} into {place}")
    for key, member in value:
        name = key if key in fields else key.casefold()
        if name in fields and member is not None:
            try:
                found[name] = _typed(member, *fields[name])
            except BodyError as error:
                error.decoded = found
                raise
    return found


def _typed(value: Any, go_type: str, place: str) -> Any:
    if go_type == "raw":
        return value
    if go_type == "string" and isinstance(value, str) and not isinstance(value, _Number):
        return _SURROGATE.sub("\ufffd", value)
    if go_type == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, _Number) and go_type not in ("string", "bool"):
        number = _number(value, go_type)
        if number is not None:
            return number
        raise BodyError(f"json: cannot unmarshal number {value[:64]} into Go struct field {place} of type {go_type}")
    raise BodyError(f"json: cannot unmarshal {kind(value)} into Go struct field {place} of type {go_type}")


def _number(text: str, go_type: str) -> int | float | None:
    if go_type == "float32":
        return take_float32(float(text))
    if go_type == "float64":
        return float(text) if math.isfinite(float(text)) else None
    if len(text) > 20 or not _INTEGER.fullmatch(text) or int(text) not in _INT64:
        return None
    return int(text)


def kind(value: Any) -> str:
    """Go's word for a decoded value's type."""
    if isinstance(value, _Number):
        return "number"
    if isinstance(value, Pairs):
        return "object"
    return {str: "string", bool: "bool", list: "array"}.get(type(value), "null")


def take_float32(value: float) -> float | None:
    """The nearest float32, or None if there is none in range."""
    try:
        nearest: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return None
    return nearest if abs(nearest) <= _MAX_FLOAT32 else None


def float32_text(value: float) -> str:
    """The shortest text that reads back as the same float32: `1`, `0.1`, `0.33333334`, `1e-9`."""
    value = take_float32(value) or 0.0
    digits = next(text for text in (f"{value:.{size}e}" for size in range(17)) if take_float32(float(text)) == value)
    mantissa, _, exponent = digits.partition("e")
    power = int(exponent)
    if value == 0 or -6 <= power < 21:
        return _plain(mantissa, power)
    return f"{_trim(mantissa)}e{'-' if power < 0 else '+'}{abs(power):0{1 if power < 0 else 2}d}"


def _trim(mantissa: str) -> str:
    return mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa


def _plain(mantissa: str, power: int) -> str:
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "")
    if power < 0:
        text = "0." + "0" * (-power - 1) + digits
    else:
        text = digits[: power + 1].ljust(power + 1, "0") + "." + digits[power + 1 :]
    return sign + _trim(text)


def dump(value: Any) -> str:
    """JSON without spaces and with Go's escapes. Floats are float32; mappings keep their order."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).translate(_ESCAPES)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return float32_text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{dump(str(key))}:{dump(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(dump(member) for member in value) + "]"
    return str(int(value))
