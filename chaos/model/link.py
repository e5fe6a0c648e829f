"""Links: directed edges caller>callee, each with a proxy listener of its own, and patterns over them."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from chaos.model.base import Data

__all__ = ["Link", "Protocol", "Tls", "match_links", "parse_link_name"]

ANY = ("any", "*")


class Protocol(StrEnum):
    """How the proxy frames a link's stream; `tcp` means bytes only."""

    TCP = "tcp"
    HTTP = "http"
    POSTGRES = "postgres"
    NATS = "nats"


class Tls(StrEnum):
    """What the proxy does with TLS on a link. Only `none` and `passthrough` are built; others are refused at plan time."""

    NONE = "none"
    PASSTHROUGH = "passthrough"
    ORIGINATE = "originate"
    TERMINATE = "terminate"


def parse_link_name(name: str) -> tuple[str, str]:
    """Caller and callee of `caller>callee`. Raises ValueError for anything else."""
    caller, sep, callee = name.partition(">")
    if not sep or not caller.strip() or not callee.strip() or ">" in callee:
        raise ValueError(f"{name!r} is not a link; write caller>callee, such as rag>postgres")
    return caller.strip(), callee.strip()


class Link(Data, frozen=True, kw_only=True):
    """One edge. `listen` and `upstream` are `host:port`, or None where bring-up decides (port 0 on loopback).

    `traced`: the caller's messages carry trace context, but for those whose signature is like one of `untraced`.
    """

    name: str
    protocol: Protocol = Protocol.TCP
    traced: bool = False
    untraced: tuple[str, ...] = ()
    tls: Tls = Tls.NONE
    server_name: str | None = None
    listen: str | None = None
    upstream: str | None = None

    def __post_init__(self) -> None:
        """Refuse a name that is not caller>callee."""
        parse_link_name(self.name)

    @property
    def caller(self) -> str:
        """Who opens connections on this link."""
        return parse_link_name(self.name)[0]

    @property
    def callee(self) -> str:
        """Who is called on this link."""
        return parse_link_name(self.name)[1]

    def may_lack_context(self, signature: str) -> bool:
        """True if `untraced` lists the signature: `*` stands for anything, `/...` for a route whatever the method."""
        return any(_like(pattern).fullmatch(signature) for pattern in self.untraced)


@lru_cache(maxsize=1024)
def _like(pattern: str) -> re.Pattern[str]:
    text = f"* {pattern}" if pattern.startswith("/") else pattern
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def match_links(pattern: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names a pattern covers, in their order: `rag>postgres`, `any>postgres`, `rag>any`; `*` and `any` alone mean all.

    Raises ValueError if the pattern is not of that form; an empty result is for the caller to judge.
    """
    if pattern.strip() in ANY:
        return names
    caller, callee = parse_link_name(pattern)
    return tuple(
        name
        for name in names
        for one, other in [parse_link_name(name)]
        if (caller in ANY or caller == one) and (callee in ANY or callee == other)
    )
