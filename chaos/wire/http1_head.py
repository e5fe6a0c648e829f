"""Heads of HTTP/1.1 messages (RFC 9112): the request and status lines and the few fields that framing and evidence need."""

from __future__ import annotations

import re
from urllib.parse import unquote

from chaos.wire.signature import http_signature

__all__ = [
    "MAX_HEAD",
    "ReplyHead",
    "RequestHead",
    "head_end",
    "parse_reply_head",
    "parse_request_head",
    "starts_like_http",
]

MAX_HEAD = 65_536
"""Bytes of a head, or of a chunk-size line, after which a stream counts as one that cannot be framed."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^ \r\n\x00]+) HTTP/1\.[0-9]\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: [^\r\n\x00]*)?\r?\n")
_FIELD_LINES = re.compile(rb"(?:" + _TOKEN + rb"[ \t]*:[^\r\n\x00]*\r?\n(?:[ \t]+[^\r\n\x00]*\r?\n)*)*\r?\n")
_REQUEST_FIELDS = re.compile(
    rb"\n(content-length|transfer-encoding|upgrade|expect|traceparent|baggage|x-budget-ms|idempotency-key)[ \t]*:[ \t]*"
    rb"([^\r\n]*)",
    re.IGNORECASE,
)
_REPLY_FIELDS = re.compile(
    rb"\n(content-length|transfer-encoding|content-type|content-encoding|retry-after|date)[ \t]*:[ \t]*([^\r\n]*)",
    re.IGNORECASE,
)
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_OP_ID = re.compile(rb"(?:^|,)[ \t]*op\.id[ \t]*=[ \t]*([^,;\t ]*)")
_IMF_DATE = re.compile(rb"[A-Za-z]{3}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_TOKEN_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_MAX_LENGTH_DIGITS = 18


class RequestHead:
    """What a request's head says. `length` is the body's; None is chunked. `tunnel` asks for another protocol after it."""

    __slots__ = (
        "budget_ms",
        "idempotency_key",
        "is_connect",
        "is_head",
        "length",
        "op_id",
        "parent_id",
        "sampled",
        "signature",
        "trace_id",
        "tunnel",
    )

    def __init__(self, method: bytes, target: bytes) -> None:
        self.signature = http_signature(method, target)
        self.is_head = method == b"HEAD"
        self.is_connect = self.tunnel = method == b"CONNECT"
        self.length: int | None = 0
        self.trace_id = self.parent_id = self.op_id = self.idempotency_key = ""
        self.sampled: bool | None = None
        self.budget_ms: float | None = None


class ReplyHead:
    """What a reply's head says. `length` is the body's, None without one; `chunked` goes before it (RFC 9112, 6.3)."""

    __slots__ = ("chunked", "event_stream", "length", "retry_after_s", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.length: int | None = None
        self.chunked = self.event_stream = False
        self.retry_after_s: float | None = None


def starts_like_http(data: bytes, pos: int) -> bool:
    """Whether a message may begin with this byte: a method and `HTTP/` are tokens, a TLS record is not."""
    return data[pos] in _TOKEN_BYTES


def head_end(data: bytes, pos: int) -> int:
    """Where the head that begins at `pos` ends (after its empty line; bare LF is taken for CRLF), or -1."""
    end = data.find(b"\n\r\n", pos)
    bare = data.find(b"\n\n", pos) if end < 0 else data.find(b"\n\n", pos, end)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def parse_request_head(data: bytes, pos: int, end: int) -> RequestHead | None:
    """The request whose head is `data[pos:end]`, or None if that is no HTTP/1.x, or one that cannot be framed for sure."""
    line = _REQUEST_LINE.match(data, pos, end)
    if line is None or _FIELD_LINES.fullmatch(data, line.end(), end) is None:
        return None
    head = RequestHead(line[1], line[2])
    length: bytes | None = None
    for raw_name, value in _REQUEST_FIELDS.findall(data, line.end() - 1, end):
        name = raw_name.lower()
        if name == b"content-length":
            if length is not None and length != value.rstrip():
                return None
            length = value.rstrip()
        elif name == b"transfer-encoding":
            if not _ends_chunked(value):
                return None  # RFC 9112, 6.3: the length of such a request cannot be told
            head.length = None
        elif name == b"upgrade":
            head.tunnel = True
        else:
            _take_evidence(head, name, value.rstrip())
    if length is not None and head.length is not None:
        if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
            return None
        head.length = int(length)
    return head


def _take_evidence(head: RequestHead, name: bytes, value: bytes) -> None:
    if name == b"traceparent":
        match = _TRACEPARENT.fullmatch(value)
        if match is not None:
            head.trace_id, head.parent_id = match[1].decode(), match[2].decode()
            head.sampled = bool(int(match[3], 16) & 1)
    elif name == b"baggage":
        found = _OP_ID.search(value)
        if found is not None:
            head.op_id = unquote(found[1].decode("latin-1"))[:200]
    elif name == b"x-budget-ms":
        head.budget_ms = _number(value)
    elif name == b"idempotency-key":
        head.idempotency_key = value.decode("latin-1")[:200]


def parse_reply_head(data: bytes, pos: int, end: int) -> ReplyHead | None:
    """The reply whose head is `data[pos:end]`, or None if that is no HTTP/1.x, or one that cannot be framed for sure."""
    line = _STATUS_LINE.match(data, pos, end)
    if line is None or _FIELD_LINES.fullmatch(data, line.end(), end) is None:
        return None
    head = ReplyHead(int(line[2]))
    retry_after = date = b""
    encoded = False
    for raw_name, value in _REPLY_FIELDS.findall(data, line.end() - 1, end):
        name = raw_name.lower()
        if name == b"content-length":
            text = value.rstrip()
            if not text.isdigit() or len(text) > _MAX_LENGTH_DIGITS or head.length not in (None, int(text)):
                return None
            head.length = int(text)
        elif name == b"transfer-encoding":
            head.chunked = _ends_chunked(value)
        elif name == b"content-type":
            head.event_stream = value[:17].lower() == b"text/event-stream"
        elif name == b"retry-after":
            retry_after = value.rstrip()
        elif name == b"date":
            date = value.rstrip()
        else:
            encoded = value.rstrip().lower() not in (b"", b"identity")
    head.event_stream = head.event_stream and not encoded  # a compressed stream does not show its marker
    if retry_after:
        head.retry_after_s = _retry_after(retry_after, date)
    return head


def _ends_chunked(value: bytes) -> bool:
    return value.rpartition(b",")[2].strip().lower() == b"chunked"


def _number(text: bytes) -> float | None:
    digits, _, fraction = text.partition(b".")
    if len(text) > _MAX_LENGTH_DIGITS or not digits.isdigit() or (fraction and not fraction.isdigit()):
        return None
    return float(text)


def _retry_after(value: bytes, date: bytes) -> float | None:
    """Seconds of Retry-After; a date counts from the reply's own Date, so no clock is needed (RFC 9110, 10.2.3)."""
    if value.isdigit():
        return _number(value)
    until, now = _seconds(value), _seconds(date)
    return None if until is None or now is None else float(max(0, until - now))


def _seconds(date: bytes) -> int | None:
    match = _IMF_DATE.fullmatch(date)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2]) + 1
    # Days since an arbitrary day, March-based so that a leap day is the last of its year.
    shifted = year - (month <= 2)
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day
    return days * 86_400 + hour * 3_600 + minute * 60 + second
