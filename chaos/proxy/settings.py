"""What the registry is asked for: a proxy, a toxic, and how the whole server behaves."""

from __future__ import annotations

from chaos.model.base import Data
from chaos.model.link import Protocol

__all__ = ["STREAMS", "Options", "ProxySettings", "ToxicSpec"]

STREAMS = ("upstream", "downstream", "both")
"""Streams of a toxic, in any case of letters; `both` is no stream of Toxiproxy's."""


class Options(Data, frozen=True, kw_only=True):
    """Of the whole server. `strict` gives Toxiproxy 2.12's behaviour where ours is better: no half-close, no RST passed on.

    `linger_ms` after its close a connection whose peer does not take what is still written is given up. `seed` is used by toxics that name none. `own_process`: the garbage collector may be stopped while a fault is scheduled.
    `max_connections` of one proxy at a time, 0 for any number; those beyond are accepted and closed.
    """

    seed: int = 0
    strict: bool = False
    dial_timeout_ms: float = 10_000.0
    linger_ms: float = 5_000.0
    wire_backlog_bytes: int = 64 * 1024 * 1024
    own_process: bool = False
    max_connections: int = 0


class ToxicSpec(Data, frozen=True, kw_only=True):
    """A toxic as asked for. `name` empty means `<type>_<stream>`; `stream` is kept as given, in any case.

    Beyond Toxiproxy: `fault` is its name in the wire log (the toxic's without one), `lease` the id of the lease it lives by,
    `seed` what its draws are made from, `at_ns` (CLOCK_MONOTONIC) when it begins by itself, `for_ms` how long it lasts,
    `ramp_ms` how long its attributes take to grow from nothing; `count`, `per` and `match` pick messages, see `counting`.
    The stream `both` stands for either direction. A message fault acts at a `phase` (`after`, `during:3`), an error says `answer`.
    """

    type: str
    name: str = ""
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = {}
    fault: str = ""
    lease: str | None = None
    seed: int | None = None
    at_ns: int | None = None
    for_ms: float | None = None
    ramp_ms: float | None = None
    count: dict[str, int] | None = None
    per: str | None = None
    match: str | None = None
    phase: str | None = None
    answer: str | None = None


class ProxySettings(Data, frozen=True, kw_only=True):
    """A proxy as asked for. `listen` empty means any port on every address; port 0 any port. `protocol` None frames nothing."""

    name: str
    upstream: str
    listen: str = ""
    enabled: bool = True
    protocol: Protocol | None = None
    toxics: tuple[ToxicSpec, ...] = ()
