"""What a folder and this machine tell of a system, found without asking and without connecting to anything. Names only, never values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from chaos.engine.init_compose import ComposeService, read_compose
from chaos.model.base import Data

__all__ = ["COMPOSE_FILES", "Hints", "find_hints", "listening_ports", "variable_names"]

COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which `docker compose` looks for them."""

_ENV = ".env"
_MAX_BYTES = 200_000
_MAX_NAMES = 500
_PROC = Path("/proc/net")
_LISTENING = "0A"  # TCP_LISTEN of include/net/tcp_states.h
_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,99})\s*=")
_HERE = re.compile("0{8}|[0-9A-F]{6}7F|0{32}|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F")
"""Every interface, 127.0.0.0/8, ::, ::1 and ::ffff:127.0.0.0/104, each 32-bit word in the machine's (little-endian) order."""


class Hints(Data, frozen=True, kw_only=True):
    """`compose` is the file's name, `services` what it runs; `variables` stand in `.env`; `ports` of this machine are listened on.

    `notes` say what was there and could not be used.
    """

    compose: str = ""
    services: tuple[ComposeService, ...] = ()
    variables: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def find_hints(folder: Path, *, proc: Path = _PROC) -> Hints:
    """Look into the folder and at the listening ports. What cannot be read is a note, never an error."""
    notes: list[str] = []
    compose = next((name for name in COMPOSE_FILES if (folder / name).is_file()), "")
    services: tuple[ComposeService, ...] = ()
    if compose and (text := _text(folder / compose, notes)) is not None:
        try:
            services = read_compose(text)
        except ValueError as error:
            notes.append(f"{compose} is not used: {error}")
        else:
            if not services:
                notes.append(f"{compose} is not used: it has no services")
    has_env = (folder / _ENV).is_file()
    variables = variable_names(_text(folder / _ENV, notes) or "") if has_env else ()
    return Hints(
        compose=compose if services else "",
        services=services,
        variables=variables,
        ports=frozenset(listening_ports(proc)),
        notes=tuple(notes),
    )


def _text(path: Path, notes: list[str]) -> str | None:
    """A small file's text, or None and a note."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        notes.append(f"{path.name} is not used: {error.strerror}")
        return None
    if len(content) > _MAX_BYTES:
        notes.append(f"{path.name} is not used: it is over {_MAX_BYTES // 1000} KB")
        return None
    return content.decode("utf-8", "replace")


def variable_names(text: str) -> tuple[str, ...]:
    """The names that a `.env` file sets, each once; what they are set to is not looked at."""
    found = (match[1] for line in text.splitlines() if (match := _VARIABLE.match(line.strip())))
    return tuple(dict.fromkeys(found))[:_MAX_NAMES]


def listening_ports(proc: Path) -> Iterator[int]:
    """TCP ports on which somebody listens at loopback or everywhere; none where there is no such table (macOS)."""
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / name).read_text("ascii", "replace").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if len(columns) > 3 and columns[3] == _LISTENING:
                host, _, port = columns[1].partition(":")
                if _HERE.fullmatch(host) and re.fullmatch("[0-9A-F]{4}", port):
                    yield int(port, 16)
