"""Framing of the protocols a link may speak, and operation signatures. Pure: bytes and a time in, records out."""

from chaos.wire.http1 import SSE_DONE, Http1Framer
from chaos.wire.signature import http_signature

__all__ = ["SSE_DONE", "Http1Framer", "http_signature"]
