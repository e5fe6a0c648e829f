"""The URL of a store that runs already: split as it is written, and only then filled in, so that no value can move its borders.

A value of the environment is what it is: in the user, the password and what follows the host it is percent-encoded. A URL that is all of it one
variable is taken as it is, and has to be encoded already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from chaos.model.base import Data
from chaos.model.interpolation import expand_environment, names_in

__all__ = ["StoreUrl", "read_store_url"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[^\]/?#@]*\]|[^/?#@:\[\]]+)(?::(?P<port>[^/?#@:]*))?(?P<rest>[/?][^#@]*)?"
)
_HOST = re.compile(r"[^\s:\[\]@/?#%{}$]+|\[[0-9A-Fa-f:.]+\]")
_TOLD = frozenset({"password", "sslpassword", "token", "passfile"})


class StoreUrl(Data, frozen=True, kw_only=True):
    """Its parts, filled in; `login` and `rest` (path and query) are encoded. `variables` are those that say the host."""

    scheme: str
    login: str
    host: str
    port: int
    rest: str
    variables: tuple[str, ...] = ()

    def at(self, address: str) -> str:
        """The same with another host and port."""
        return f"{self.scheme}://{self.login}{'@' if self.login else ''}{address}{self.rest}"

    def address(self, usual_port: int) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port or usual_port}"

    @property
    def text(self) -> str:
        """All of it."""
        return self.at(f"{self.host}:{self.port}" if self.port else self.host)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is nobody's business: the password, a token in its place, credentials among the parameters."""
        user, _, password = self.login.partition(":")
        found = [password] if password else [user] if user and self.scheme == "nats" else []
        found += [value for name, value in parse_qsl(self.rest.partition("?")[2]) if name.casefold() in _TOLD]
        return tuple(found)


def read_store_url(written: str, environment: Mapping[str, str]) -> StoreUrl:
    """Raises KeyError with the name of a variable that is not set, ValueError for what is no URL; neither tells a value."""
    whole = not _SCHEME.match(written)
    match = _URL.fullmatch(expand_environment(written, environment) if whole else written)
    if match is None:
        raise ValueError("no URL")
    filled = _Filled(environment=None if whole else environment)
    host, port = filled.plain(match["host"]), filled.plain(match["port"] or "")
    if not _HOST.fullmatch(host) or (port and not (port.isdecimal() and 0 < int(port[:6]) <= 65535)):
        raise ValueError("no host and port")
    path, mark, query = (match["rest"] or "").partition("?")
    return StoreUrl(
        scheme=match["scheme"],
        login=filled.encoded(match["user"] or "").replace("@", "%40"),
        host=host,
        port=int(port or 0),
        rest=filled.encoded(path, safe="/") + mark + "&".join(filled.parameter(one) for one in query.split("&")),
        variables=names_in(written if whole else match["host"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filled:
    """Parts of a URL with their variables filled in; without an environment they are as they are."""

    environment: Mapping[str, str] | None

    def plain(self, text: str) -> str:
        return text if self.environment is None else expand_environment(text, self.environment)

    def encoded(self, text: str, safe: str = "") -> str:
        if self.environment is None:
            return text
        values = {name: quote(self.environment[name], safe=safe) for name in names_in(text)}
        return expand_environment(text, values)

    def parameter(self, text: str) -> str:
        """A value is encoded; a variable that stands for whole parameters is not."""
        name, equals, value = text.partition("=")
        return self.plain(name) + equals + self.encoded(value)
