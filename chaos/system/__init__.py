"""Brings systems up: supervisor and children, ports, scratch directories, Postgres, NATS, services.

Names are loaded on first use: the supervisor lives below this package and has to start in tens of milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.system.child import Child as Child
    from chaos.system.child import ChildExit as ChildExit
    from chaos.system.child import ChildSpec as ChildSpec
    from chaos.system.children import Children as Children
    from chaos.system.children import open_children as open_children
    from chaos.system.doctor import Check as Check
    from chaos.system.doctor import examine as examine
    from chaos.system.doctor import require_installed as require_installed
    from chaos.system.environment import minimal_environment as minimal_environment
    from chaos.system.leftovers import Leftover as Leftover
    from chaos.system.leftovers import find_leftovers as find_leftovers
    from chaos.system.leftovers import remove_leftover as remove_leftover
    from chaos.system.local import DriverSettings as DriverSettings
    from chaos.system.local import LocalSystem as LocalSystem
    from chaos.system.nats import NatsServer as NatsServer
    from chaos.system.nats import start_nats as start_nats
    from chaos.system.ports import Address as Address
    from chaos.system.ports import PortHold as PortHold
    from chaos.system.ports import reserve_port as reserve_port
    from chaos.system.postgres import PostgresServer as PostgresServer
    from chaos.system.postgres import start_postgres as start_postgres
    from chaos.system.redact import Redactor as Redactor
    from chaos.system.reference import DRIVER_LINKS as DRIVER_LINKS
    from chaos.system.reference import REFERENCE_LINKS as REFERENCE_LINKS
    from chaos.system.reference import REFERENCE_SERVICES as REFERENCE_SERVICES
    from chaos.system.scratch import Scratch as Scratch
    from chaos.system.scratch import make_scratch as make_scratch
    from chaos.system.secret import Secret as Secret
    from chaos.system.services import HttpReady as HttpReady
    from chaos.system.services import LogReady as LogReady
    from chaos.system.services import ServiceSpec as ServiceSpec
    from chaos.system.services import TcpReady as TcpReady

_HOMES = {
    "Address": "ports",
    "Check": "doctor",
    "Child": "child",
    "ChildExit": "child",
    "ChildSpec": "child",
    "Children": "children",
    "DRIVER_LINKS": "reference",
    "DriverSettings": "local",
    "HttpReady": "services",
    "Leftover": "leftovers",
    "LocalSystem": "local",
    "LogReady": "services",
    "NatsServer": "nats",
    "PortHold": "ports",
    "PostgresServer": "postgres",
    "REFERENCE_LINKS": "reference",
    "REFERENCE_SERVICES": "reference",
    "Redactor": "redact",
    "Scratch": "scratch",
    "Secret": "secret",
    "ServiceSpec": "services",
    "TcpReady": "services",
    "examine": "doctor",
    "require_installed": "doctor",
    "find_leftovers": "leftovers",
    "make_scratch": "scratch",
    "minimal_environment": "environment",
    "open_children": "children",
    "remove_leftover": "leftovers",
    "reserve_port": "ports",
    "start_nats": "nats",
    "start_postgres": "postgres",
}

__all__ = [  # noqa: PLE0604 - the same names as the imports above; a test proves it
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
