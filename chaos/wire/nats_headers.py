"""Headers of NATS messages (ADR-4): the status of a reply, and the few fields that evidence needs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from chaos.wire.messages import NO_CONTEXT

__all__ = ["read_headers"]

_VERSION = re.compile(rb"NATS/1\.0(?:[ \t]+(\d{3}))?(?:[ \t]([^\r\n]*))?")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE, _NO_PARENT = "0" * 32, "0" * 16
_OP_ID = re.compile(rb"(?:^|,)[ \t]*op\.id[ \t]*=[ \t]*([^,;\t ]*)")
_NUMBER = re.compile(rb"\d{1,15}(?:\.\d{1,15})?")
_TEXT_CHARS = 200
_ODD = "13579bdf"
_SPELLINGS = {
    spelling: name.lower()
    for name in (b"traceparent", b"baggage", b"X-Budget-Ms", b"Nats-Msg-Id")
    for spelling in (name, name.lower(), name.title(), name.upper())
}


def read_headers(block: bytes) -> tuple[str, tuple[Any, ...], str]:
    """Status (empty without one), context in the order of `WireRecord`'s fields from `trace_id` on, and the message id.

    A trace context that breaks the W3C's rules counts as none.
    """
    first, *lines = block.split(b"\r\n")
    trace_id = parent_id = op_id = message_id = ""
    sampled: bool | None = None
    budget_ms: float | None = None
    found = False
    for line in lines:
        spelling, _, value = line.partition(b":")
        name = _SPELLINGS.get(spelling)
        if name is None:
            continue
        found = True
        value = value.strip()
        if name == b"traceparent":
            text = value.decode("latin-1")
            if _TRACEPARENT.fullmatch(text) and text[3:35] != _NO_TRACE and text[36:52] != _NO_PARENT:
                trace_id, parent_id = text[3:35], text[36:52]
                sampled = text[54] in _ODD
        elif name == b"baggage":
            match = _OP_ID.search(value)
            if match is not None:
                op_id = unquote(match[1].decode("latin-1"))[:_TEXT_CHARS]
        elif name == b"nats-msg-id":
            message_id = value.decode("latin-1")[:_TEXT_CHARS]
        elif _NUMBER.fullmatch(value):
            budget_ms = float(value)
    context = (trace_id, parent_id, sampled, op_id, budget_ms) if found else NO_CONTEXT
    return _status(first) if len(first) > 8 else "", context, message_id


def _status(first: bytes) -> str:
    match = _VERSION.fullmatch(first)
    return match[1].decode() if match is not None and match[1] else ""
