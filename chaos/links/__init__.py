"""The control plane: one port to a fault proxy, and its adapters."""

from chaos.links.embedded import connect_embedded
from chaos.links.port import ActiveFault, LinkControl
from chaos.links.probe import ProbeResult, probe_connect

__all__ = ["ActiveFault", "LinkControl", "ProbeResult", "connect_embedded", "probe_connect"]
