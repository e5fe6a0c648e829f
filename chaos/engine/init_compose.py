"""What a compose file says of its services: where each can be reached from this machine, and whom it calls. Pure.

Read with PyYAML's safe loader as far as nodes, so that aliases are never expanded and no tag makes anything. Values of variables
are looked at for names of other services only, and none of them is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from chaos.model.base import Data

__all__ = ["ComposeService", "Published", "read_compose"]

_MAX_SERVICES = 50
_MAX_ITEMS = 100
_MAX_MERGES = 8
_LONGEST = 200
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_DEFAULT = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-(\d{1,5})\}")
_PORT = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^:\[\]]+):)?(?:(?P<outer>\d{1,5}):)(?P<inner>\d{1,5})(?:/(?P<kind>\w+))?")


class Published(Data, frozen=True, kw_only=True):
    """A TCP port of a container, and the port of this machine that leads there."""

    outer: int
    inner: int


class ComposeService(Data, frozen=True, kw_only=True):
    """`image` is empty for one that is built. `calls` maps names of services that it names to the variables that do so (none: depends_on)."""

    name: str
    image: str = ""
    published: tuple[Published, ...] = ()
    calls: dict[str, tuple[str, ...]] = {}


def read_compose(text: str) -> tuple[ComposeService, ...]:
    """The services of a compose file, in its order. Raises ValueError for what is no YAML."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise ValueError("it is not valid YAML" + (f" (line {line + 1})" if line is not None else "")) from None
    found = {name: node for name, node in _entries(_member(root, "services")) if isinstance(node, MappingNode)}
    services = dict(list(found.items())[:_MAX_SERVICES])
    named = {name: _naming(name) for name in services}
    return tuple(_service(name, node, named) for name, node in services.items())


def _naming(name: str) -> re.Pattern[str]:
    """What names the service as a host: `db`, `db:5432`, a URL with that host, in a list of them as well."""
    return re.compile(rf"(?:^|://|@|,){re.escape(name)}(?=$|[:/?,])")


def _service(name: str, node: MappingNode, named: dict[str, re.Pattern[str]]) -> ComposeService:
    calls: dict[str, tuple[str, ...]] = {one: () for one in _depends_on(node) if one in named and one != name}
    for variable, value in _environment(node):
        for other, pattern in named.items():
            if other != name and pattern.search(value):
                calls[other] = (*calls.get(other, ()), variable)
    return ComposeService(
        name=name,
        image="" if _member(node, "build") is not None else _scalar(_member(node, "image")),
        published=tuple(_ports(_member(node, "ports"))),
        calls=calls,
    )


def _depends_on(node: MappingNode) -> Iterator[str]:
    wanted = _member(node, "depends_on")
    yield from (key for key, _ in _entries(wanted))
    yield from (_scalar(one) for one in _items(wanted))


def _environment(node: MappingNode) -> Iterator[tuple[str, str]]:
    """Names and values, of both forms."""
    written = _member(node, "environment")
    pairs = [(key, _scalar(value)) for key, value in _entries(written)]
    pairs += [(key, value) for key, _, value in (_scalar(one).partition("=") for one in _items(written))]
    return ((key, value) for key, value in pairs if value and _VARIABLE.fullmatch(key))


def _ports(node: Node | None) -> Iterator[Published]:
    """Ports with a fixed counterpart on this machine; ranges, UDP and what a variable decides are left out."""
    for one in _items(node):
        if isinstance(one, MappingNode):
            outer, inner = _digits(_scalar(_member(one, "published"))), _digits(_scalar(_member(one, "target")))
            kind = _scalar(_member(one, "protocol"))
        else:
            match = _PORT.fullmatch(_DEFAULT.sub(r"\1", _scalar(one)))
            if match is None:
                continue
            outer, inner, kind = match["outer"], match["inner"], match["kind"]
        if kind not in {"udp", "sctp"} and outer and inner and 0 < int(outer) < 65536 and 0 < int(inner) < 65536:
            yield Published(outer=int(outer), inner=int(inner))


def _digits(text: str) -> str:
    text = _DEFAULT.sub(r"\1", text)
    return text if re.fullmatch(r"[0-9]{1,5}", text) else ""


def _member(node: Node | None, key: str) -> Node | None:
    """The value of a key, of the mapping itself or of what it merges (`<<`)."""
    return next((value for name, value in _entries(node) if name == key), None)


def _entries(node: Node | None, merges: int = 0) -> Iterator[tuple[str, Node]]:
    """Keys and values; what is merged comes after, so that the first one counts."""
    if not isinstance(node, MappingNode):
        return
    merged: list[Node] = []
    for key, value in node.value[:_MAX_ITEMS]:
        if not isinstance(key, ScalarNode):
            continue
        if key.value == "<<":
            merged += value.value[:_MAX_MERGES] if isinstance(value, SequenceNode) else [value]
        elif len(key.value) <= _LONGEST:
            yield key.value, value
    if merges < 2:
        for one in merged:
            yield from _entries(one, merges + 1)


def _items(node: Node | None) -> list[Node]:
    return node.value[:_MAX_ITEMS] if isinstance(node, SequenceNode) else []


def _scalar(node: Node | None) -> str:
    return node.value[: 20 * _LONGEST] if isinstance(node, ScalarNode) else ""
