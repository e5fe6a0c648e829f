"""The control API of the proxy: Toxiproxy 2.12's, and ours under /chaos."""

from chaos.proxy.api.app import VERSION, ControlApi
from chaos.proxy.api.transport import serve_http

__all__ = ["VERSION", "ControlApi", "serve_http"]
