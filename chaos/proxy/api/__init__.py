"""The control API of the proxy: Toxiproxy 2.12's, and ours under /chaos."""

from chaos.proxy.api.app import VERSION, ControlApi
from chaos.proxy.api.bodies import decode_populate, to_settings
from chaos.proxy.api.gojson import BodyError
from chaos.proxy.api.populate import check_all, put_proxy
from chaos.proxy.api.transport import serve_http

__all__ = [
    "VERSION",
    "BodyError",
    "ControlApi",
    "check_all",
    "decode_populate",
    "put_proxy",
    "serve_http",
    "to_settings",
]
