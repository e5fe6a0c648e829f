"""Where the ledger reaches the stores: at the stores themselves, never through a link."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.errors import ChaosError

__all__ = ["OUR_NAME", "Access", "UnreadableError"]

OUR_NAME = "chaos-drill"
"""How our connections call themselves, so that nobody takes them for the system's."""


class UnreadableError(ChaosError):
    """A store did not tell what it holds; the text says why. It ends as evidence that could not be had, never as the end of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """URLs of the stores, with credentials; empty where the system has no such store.

    `postgres_dsn` sees the sessions of all others; effects are read as `postgres_role` if there is one, with no more rights than it has.
    """

    postgres_dsn: str = ""
    postgres_role: str = ""
    nats_url: str = ""

    def __repr__(self) -> str:
        known = {"postgres": self.postgres_dsn, "nats": self.nats_url}
        return f"<Access {', '.join(name for name, url in known.items() if url) or 'to nothing'}>"
