"""NATS messages as bytes: what conversations are put together from."""

from __future__ import annotations

Step = tuple[str, bytes]
"""Direction and bytes."""


def pub(subject: str, payload: bytes = b"", reply: str = "", headers: bytes = b"") -> bytes:
    """PUB, or HPUB."""
    verb, sizes = ("HPUB", f"{len(headers)} {len(headers) + len(payload)}") if headers else ("PUB", f"{len(payload)}")
    line = f"{verb} {subject} {reply} {sizes}" if reply else f"{verb} {subject} {sizes}"
    return line.encode() + b"\r\n" + headers + payload + b"\r\n"


def msg(subject: str, payload: bytes = b"", reply: str = "", headers: bytes = b"") -> bytes:
    """MSG, or HMSG."""
    verb, _, rest = pub(subject, payload, reply, headers).partition(b" ")
    first, _, rest = rest.partition(b" ")
    return (b"HMSG " if verb == b"HPUB" else b"MSG ") + first + b" 9 " + rest
