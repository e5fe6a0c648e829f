"""Who an operation is: op id, trace, root span and nonce as pure functions, so that the ledger knows them without the driver."""

from __future__ import annotations

import hashlib
import hmac

from chaos.model.op_ids import PROBE_INDEX, op_id

__all__ = ["PROBE_INDEX", "answer_digest", "baggage", "nonce", "op_id", "root_span_id", "trace_id", "traceparent"]


def trace_id(seed: int, op: str) -> str:
    """32 hex digits, never all zero (W3C Trace Context)."""
    return _hex(32, str(seed), op, "trace")


def root_span_id(seed: int, op: str) -> str:
    """16 hex digits: the driver's span, parent of everything the system does for the operation."""
    return _hex(16, str(seed), op, "root")


def nonce(seed: int, op: str) -> str:
    """`nonce-` and 16 hex digits, to be found again in the answer as its digest."""
    return f"nonce-{_hex(16, str(seed), op, 'nonce')}"


def answer_digest(key: bytes, nonce_text: str) -> str:
    """What a correct answer holds for a nonce: `digest-` and the first 16 hex digits of its HMAC-SHA256."""
    return f"digest-{hmac.new(key, nonce_text.encode(), hashlib.sha256).hexdigest()[:16]}"


def traceparent(trace: str, span: str) -> str:
    """W3C `traceparent` of a sampled trace."""
    return f"00-{trace}-{span}-01"


def baggage(op: str) -> str:
    """W3C `baggage` that carries the op id."""
    return f"op.id={op}"


def _hex(digits: int, *parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:digits]
