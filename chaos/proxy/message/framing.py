"""What the director asks of who frames the connection: names for messages, records of what became of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from chaos.proxy.message.plan import Named
from chaos.proxy.message.turn import Dialect

__all__ = ["Framing"]


class Framing(Protocol):
    """An observer of a framed connection, as message faults know it."""

    def dialect(self) -> Dialect:
        """A cutter for this connection."""

    def await_rest(self, join: Callable[[], None]) -> bool:
        """Call `join` before the first chunk that enters while nothing is under way; False if that will never be."""

    def lend(self) -> None:
        """The director feeds from here on; nothing is fed by the pipes."""

    def take_back(self) -> None:
        """The pipes feed again, and nobody waits for a rest."""

    def sweep(self, direction: str) -> None:
        """A chunk is about to be fed: what is not held and has not left never will."""

    def name(self, direction: str, data: bytes) -> tuple[bytes, tuple[Named, ...]]:
        """Frame the beginning of a message: what goes on in its place, as many bytes, and what it is; nothing for housekeeping."""

    def feed(self, direction: str, data: bytes) -> bytes:
        """Frame bytes; what goes on in their place, as many."""

    def mark(self, number: int, fault: str) -> None:
        """That fault acted on that exchange."""

    def tell_acted(self, name: Named | None, fault: str, what: str) -> None:
        """Write the record of it. Without a name it acted on the connection as a whole."""

    def swallow(self, direction: str, nbytes: int) -> None:
        """The last so many bytes fed will never leave."""

    def swallow_answer(self, direction: str, data: bytes, number: int) -> None:
        """All of the answer to that exchange, which was not fed, will never leave."""

    def insert(self, direction: str, nbytes: int) -> None:
        """So many bytes that are not fed leave behind everything fed so far."""

    def postpone(self, direction: str, nbytes: int) -> Any:
        """The last so many bytes fed let others pass; the answer is for `resume`."""

    def resume(self, direction: str, nbytes: int, token: Any) -> None:
        """They leave now."""
