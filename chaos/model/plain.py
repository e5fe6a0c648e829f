"""Plain workloads as data: operations on systems that we did not write, said in the scenario, without code.

Texts are kept as written; which of them are templates (chaos.model.template) is said with each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, UnsetType, to_builtins

from chaos.model.base import Data
from chaos.model.interpolation import names_in

__all__ = [
    "BUDGET_HEADER",
    "PLAIN_KINDS",
    "WITHOUT_HEADERS",
    "Content",
    "HttpRequest",
    "NatsMessage",
    "Payload",
    "PlainOperation",
    "PlainWorkload",
    "SqlStatement",
    "TcpScript",
    "TcpStep",
    "variables_of",
]

PLAIN_KINDS = ("http", "nats", "sql", "tcp")
"""Kinds of workloads whose operations stand in the scenario."""

WITHOUT_HEADERS = frozenset({"sql", "tcp"})
"""Those of which no request can carry trace context."""

BUDGET_HEADER = "X-Budget-Ms"
"""Header that carries the deadline as milliseconds, unless a scenario names another one or none."""


class Payload(Data, frozen=True, kw_only=True):
    """A body: a text, or any JSON value. Both are templates, JSON in its texts: one that is a single number's placeholder is a number."""

    text: str | None = None
    json: Any | UnsetType = UNSET


class Content(Data, frozen=True, kw_only=True):
    """What an ok answer holds, all of it templates: JSON values by path (`items.0.id`), texts, and how a stream ends."""

    json: dict[str, Any] = {}
    contains: tuple[str, ...] = ()
    ends_with: str | None = None


class HttpRequest(Data, frozen=True, kw_only=True, tag_field="kind", tag="http"):
    """A request; path, header values and body are templates. `statuses` are the right ones: empty means any 2xx."""

    method: str
    path: str
    headers: dict[str, str] = {}
    body: Payload | None = None
    statuses: tuple[int, ...] = ()


class NatsMessage(Data, frozen=True, kw_only=True, tag_field="kind", tag="nats"):
    """A message; subjects, header values and payload are templates.

    A request, whose reply is the answer, unless `publish`: then the message on the subject `completion` is the answer, or without one
    the PubAck (`jetstream`), or that the server took it. `errors` are patterns that make an answer an error, with its status.
    """

    subject: str
    publish: bool = False
    jetstream: bool = False
    completion: str | None = None
    headers: dict[str, str] = {}
    payload: Payload | None = None
    errors: dict[str, int] = {}


class SqlStatement(Data, frozen=True, kw_only=True, tag_field="kind", tag="sql"):
    """A statement with its arguments (templates). `rows`: how many it returns or changes; `value`: the first column of the first row."""

    query: str
    args: tuple[Any, ...] = ()
    rows: int | None = None
    value: Any | UnsetType = UNSET


class TcpStep(Data, frozen=True, kw_only=True):
    """A step of a script: `send` a text, `expect` it in the next line, or read `until` a line has it.

    A text to send is a template; with `hex:` before it, it is bytes (also for `expect`). What is looked for is the beginning of a line
    (a template) or a `/regular expression/`, in which only well-formed placeholders are filled in.
    """

    act: str
    text: str


class TcpScript(Data, frozen=True, kw_only=True, tag_field="kind", tag="tcp"):
    """Steps on a connection of its own, or (`keep`) on one that is kept for later: what comes before the first `send` is then done once.

    `errors` are patterns of lines that make the answer an error, with its status.
    """

    steps: tuple[TcpStep, ...]
    keep: bool = False
    errors: dict[str, int] = {}


class PlainOperation(Data, frozen=True, kw_only=True):
    """One operation. `uses` are callees and links behind the callee (None: everything that can be reached from there).

    `degraded` is a pattern that marks an answer as degraded: it owes no content. `effects` names what the operation leaves behind.
    """

    does: HttpRequest | NatsMessage | SqlStatement | TcpScript
    content: Content = Content()
    degraded: str | None = None
    uses: tuple[str, ...] | None = None
    weight: int = 1
    deadline_ms: float | None = None
    writes: bool = False
    effects: tuple[str, ...] = ()

    @property
    def asynchronous(self) -> bool:
        """Whether a message of its own completes it."""
        return isinstance(self.does, NatsMessage) and self.does.completion is not None


class PlainWorkload(Data, frozen=True, kw_only=True):
    """Operations on the link `driver>to`. `budget_header` carries the deadline in milliseconds; None sends none."""

    to: str
    operations: dict[str, PlainOperation]
    budget_header: str | None = BUDGET_HEADER

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment's variables that its texts ask for, each once."""
        return tuple(dict.fromkeys(name for one in self.operations.values() for name in variables_of(one)))


def variables_of(operation: PlainOperation) -> tuple[str, ...]:
    """Names of the environment's variables that an operation's texts ask for."""
    return tuple(dict.fromkeys(name for text in _texts(to_builtins(operation)) for name in names_in(text)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
