"""Framing of the protocols a link may speak, and operation signatures. Pure: bytes and a time in, records out."""

from chaos.wire.http1 import SSE_DONE, Http1Framer
from chaos.wire.messages import MessageFramer
from chaos.wire.nats import NatsFramer
from chaos.wire.postgres import PostgresFramer
from chaos.wire.signature import http_signature
from chaos.wire.sql import sql_signature

__all__ = [
    "SSE_DONE",
    "Http1Framer",
    "MessageFramer",
    "NatsFramer",
    "PostgresFramer",
    "http_signature",
    "sql_signature",
]
