"""The control plane: one port to a fault proxy, and its adapters. Public: see docs/links.md."""

from chaos.links.chained import connect_chained
from chaos.links.connecting import connect_links, is_ours
from chaos.links.embedded import connect_embedded
from chaos.links.faulted import faulted
from chaos.links.own_proxy import embedded_proxy
from chaos.links.port import ActiveFault, LinkControl, UnsupportedError
from chaos.links.probe import ProbeResult, probe_connect
from chaos.links.status import LinkConnection, LinkEvent, LinkStatus, ToxicStatus
from chaos.links.toxic import Toxic
from chaos.links.toxiproxy import connect_toxiproxy

__all__ = [
    "ActiveFault",
    "LinkConnection",
    "LinkControl",
    "LinkEvent",
    "LinkStatus",
    "ProbeResult",
    "Toxic",
    "ToxicStatus",
    "UnsupportedError",
    "connect_chained",
    "connect_embedded",
    "connect_links",
    "connect_toxiproxy",
    "embedded_proxy",
    "faulted",
    "is_ours",
    "probe_connect",
]
