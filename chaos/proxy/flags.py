"""The command line, in the style of Go's flag package: `-x v`, `-x=v`, `--x` alike; those of toxiproxy-server and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.errors import UsageError
from chaos.model.base import Data

__all__ = ["USAGE", "Flags", "parse_flags"]

USAGE = """\
Usage: chaos-drill proxy [flags]
       chaos-drill proxy top [--url URL]     look at one that runs
  -host string          address of the control API (default "localhost")
  -port int             port of the control API, 0 for any (default 8474)
  -config string        JSON file of proxies to start with, as for /populate;
                        read again on SIGHUP
  -lenient              start what is good in the config file; without it a bad
                        file starts nothing
  -seed int             seed of the random decisions of toxics (default 0)
  -proxy-metrics        serve byte counts of proxies at /metrics
  -runtime-metrics      serve the process's own figures at /metrics
  -strict               behave as Toxiproxy 2.12 where ours is better, for
                        side-by-side runs
  -dial-timeout-ms int  how long an upstream may take to accept (default 10000)
  -max-connections int  connections of one proxy at a time, those beyond are
                        closed; 0 for any number (default 0)
  -ready-fd int         descriptor to tell the address to, instead of stdout
  -parent-watch         end when stdin, a pipe from the starter, is closed
  -version              print the version and end
  -help                 print this and end

examples:
  chaos-drill proxy -config toxiproxy.json
  chaos-drill proxy -port 0 -seed 7
"""

_SWITCHES = {"proxy-metrics", "runtime-metrics", "strict", "lenient", "parent-watch", "version", "help", "h"}
_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}


class Flags(Data, frozen=True, kw_only=True):
    """Values of the flags."""

    host: str = "localhost"
    port: int = 8474
    config: str = ""
    seed: int = 0
    proxy_metrics: bool = False
    runtime_metrics: bool = False
    strict: bool = False
    lenient: bool = False
    dial_timeout_ms: int = 10_000
    max_connections: int = 0
    ready_fd: int | None = None
    parent_watch: bool = False
    version: bool = False
    help: bool = False


def parse_flags(argv: Sequence[str]) -> Flags:
    """Flags from the arguments after the command's name. Raises UsageError."""
    found: dict[str, Any] = {}
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
        if not argument.startswith("-") or not name:
            raise UsageError(f"unexpected argument {argument!r}; flags are -name value, see -help")
        found["help" if name == "h" else name.replace("-", "_")] = _value(name, text if equals else None, rest)
    return Flags(**found)


def _value(name: str, text: str | None, rest: list[str]) -> Any:
    if name in _SWITCHES:
        return _switch(name, text)
    if name.replace("-", "_") not in Flags.__struct_fields__ or "_" in name:
        raise UsageError(f"flag provided but not defined: -{name}; see -help")
    if text is None:
        if not rest:
            raise UsageError(f"flag needs an argument: -{name}")
        text = rest.pop(0)
    return text if name in ("host", "config") else _integer(name, text)


def _switch(name: str, text: str | None) -> bool:
    if text is not None and text not in _TRUE | _FALSE:
        raise UsageError(f"invalid boolean value {text!r} for -{name}; write true or false")
    return text is None or text in _TRUE


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"invalid value {text!r} for flag -{name}; write a whole number") from None
