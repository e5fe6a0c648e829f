"""The bypass check: does anybody reach Postgres or NATS around the proxy? Faults on a link do not touch such a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import anyio

from chaos.engine.clock import now_ns
from chaos.errors import NotReadyError
from chaos.model.event import AnyEvent, BypassChecked, Note
from chaos.model.link import Link
from chaos.model.wire_record import WireRecord
from chaos.system.callers import Caller
from chaos.system.local import STORES

__all__ = ["WIRE_MARKS", "Passages", "Stores", "check_bypass"]

# Whatever the proxy's log lacks by then, more than its 5 ms to ship a batch, did not pass the proxy.
_NEWS_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.05

_KEYS = ("port=", "pid=", "cid=")
WIRE_MARKS = tuple(key.encode() for key in _KEYS)
"""What stands in batches of the wire log that tell of a connection."""


class Passages:
    """Connections that came through the proxy, as its log tells them: our end's port, and the number that the callee gave.

    One entry each for every connection of a run, and nothing else of the log.
    """

    def __init__(self, links: Iterable[Link]) -> None:
        self._callees = {link.name: link.callee for link in links if link.callee in STORES}
        self._known: set[tuple[str, str]] = set()
        self.gaps = ""

    def __repr__(self) -> str:
        return f"<Passages {len(self._known)}{f', {self.gaps}' if self.gaps else ''}>"

    def take(self, record: WireRecord) -> None:
        """Take a record of the wire log; only those that tell of a connection, or of a loss, matter."""
        if record.kind == "lost":
            self.gaps = "records of the wire log were lost"
        elif record.digest.startswith(_KEYS) and (callee := self._callees.get(record.link)) is not None:
            self._known.add((callee, record.digest))

    def holds(self, callee: str, caller: Caller) -> bool:
        """Whether that connection came through the proxy."""
        return (callee, caller.key) in self._known or (callee, f"port={caller.port}") in self._known


class Stores(Protocol):
    """What the check needs of a system."""

    @property
    def stores(self) -> frozenset[str]:
        """Callees that can be asked."""

    async def callers(self, store: str) -> tuple[Caller, ...]:
        """Who is, or was, connected to a store. Raises NotReadyError."""

    def variable(self, link: str) -> str | None:
        """The variable by which a link's caller is told its listener."""


async def check_bypass(
    stores: Stores, links: Sequence[Link], passages: Passages, emit: Callable[[AnyEvent], None]
) -> None:
    """Ask every store that a link leads to, and tell what was found. Never raises for one that does not answer.

    A store that the run did not start has other clients, too: it is not asked, and a note says so.
    """
    for callee in dict.fromkeys(link.callee for link in links if link.callee in STORES):
        if callee not in stores.stores:
            text = f"{callee} was not started by this run, so nobody knows who else reaches it around its proxy"
            emit(Note(t_ns=now_ns(), text=text))
            continue
        try:
            callers = await stores.callers(callee)
        except NotReadyError as error:
            emit(BypassChecked(t_ns=now_ns(), callee=callee, error=str(error)))
            continue
        around = await _around(callee, callers, passages)
        if around and passages.gaps:
            emit(BypassChecked(t_ns=now_ns(), callee=callee, error=passages.gaps))
            continue
        texts = _texts(stores, callee, around)
        emit(BypassChecked(t_ns=now_ns(), callee=callee, through=len(callers) - len(around), around=texts))


async def _around(callee: str, callers: Sequence[Caller], passages: Passages) -> list[Caller]:
    """Those who did not come through the proxy, once its log has had time to tell of them."""
    with anyio.move_on_after(_NEWS_WITHIN_S):
        while not all(passages.holds(callee, one) for one in callers):  # noqa: ASYNC110 - a log that says nothing has no event
            await anyio.sleep(_LOOK_EVERY_S)
    return [one for one in callers if not passages.holds(callee, one)]


def _texts(stores: Stores, callee: str, around: Sequence[Caller]) -> tuple[str, ...]:
    """One line for each name."""
    by_name: dict[str, list[Caller]] = {}
    for one in around:
        by_name.setdefault(one.name, []).append(one)
    return tuple(_text(stores, callee, name, of) for name, of in by_name.items())


def _text(stores: Stores, callee: str, name: str, of: Sequence[Caller]) -> str:
    link = f"{name}>{callee}"
    variable = stores.variable(link)
    mend = f"point {variable} at the link {link}" if variable else f"let it reach {callee} through a link"
    many = "1 connection" if len(of) == 1 else f"{len(of)} connections"
    where = f"{of[0].host}:{of[0].port}" if of[0].port > 0 else of[0].key
    first = "from" if len(of) == 1 else "the first from"
    return f"{name or 'somebody'} reaches {callee} around its proxy ({many}, {first} {where}); {mend}"
