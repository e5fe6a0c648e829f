"""What a proxy's wire log has told."""

from __future__ import annotations

import msgspec

from chaos.model.wire_record import WireRecord
from chaos.proxy.server import Server

__all__ = ["take_records"]


def take_records(server: Server) -> list[WireRecord]:
    """All records since they were taken last."""
    with server.wire.subscribe() as subscription:
        batches = subscription.take()
    return [record for batch in batches for record in msgspec.msgpack.decode(batch, type=list[WireRecord])]
