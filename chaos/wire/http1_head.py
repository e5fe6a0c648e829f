"""Heads of HTTP/1.1 messages (RFC 9112): the request and status lines and the few fields that framing and evidence need."""

from __future__ import annotations

import re
from urllib.parse import unquote

from chaos.wire.http1_values import number_of, retry_after_s
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
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^ \r\n\x00]+) HTTP/1\.[0-9]\r?")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9][0-9])(?: [^\r\n\x00]*)?\r?")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb")[ \t]*:([^\r\n\x00]*)\r?")
_FOLDED_LINE = re.compile(rb"[ \t][^\r\n\x00]*\r?")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_OP_ID = re.compile(rb"(?:^|,)[ \t]*op\.id[ \t]*=[ \t]*([^,;\t ]*)")
_TOKEN_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_MAX_LENGTH_DIGITS = 18

# Lines are looked up whole: the same few come with nearly every message (a hit costs a tenth of reading the line). Fields whose
# value differs from message to message are not kept.
_CACHE_LIMIT = 2048
_CACHED_LINE_BYTES = 512
_FIELDS = {
    name: name.decode()
    for name in (
        b"content-length",
        b"transfer-encoding",
        b"upgrade",
        b"traceparent",
        b"baggage",
        b"x-budget-ms",
        b"idempotency-key",
        b"content-type",
        b"content-encoding",
        b"retry-after",
        b"date",
    )
}
_EACH_TIME = {
    spelling: name
    for name in ("traceparent", "baggage", "x-budget-ms", "idempotency-key")
    for spelling in (name.encode(), name.title().encode())
}
_Field = tuple[str, bytes]
_NO_FIELD: _Field = ("", b"")
_lines: dict[bytes, _Field] = {}
_requests: dict[bytes, tuple[str, bool, bool]] = {}


def _request_line(line: bytes) -> tuple[str, bool, bool] | None:
    """Signature of a request line, and whether it is HEAD or CONNECT; None if it is no request line."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        return None
    start = (http_signature(match[1], match[2]), match[1] == b"HEAD", match[1] == b"CONNECT")
    if len(line) <= _CACHED_LINE_BYTES:
        if len(_requests) >= _CACHE_LIMIT:
            _requests.clear()
        _requests[line] = start
    return start


def _field(line: bytes) -> _Field | None:
    """Name and value of a line if they matter here, `_NO_FIELD` if not, None if that is no line of a head."""
    colon = line.find(b":")
    each_time = _EACH_TIME.get(line[:colon])
    if each_time:
        return each_time, line[colon + 1 :].strip()
    match = _FIELD_LINE.fullmatch(line)
    if match is None:
        return _NO_FIELD if _FOLDED_LINE.fullmatch(line) else None
    name = _FIELDS.get(match[1].lower(), "")
    field = (name, match[2].strip(b" \t")) if name else _NO_FIELD
    if name not in _EACH_TIME.values() and len(line) <= _CACHED_LINE_BYTES:
        if len(_lines) >= _CACHE_LIMIT:
            _lines.clear()
        _lines[line] = field
    return field


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

    def __init__(self, signature: str, *, is_head: bool = False, is_connect: bool = False) -> None:
        self.signature = signature
        self.is_head = is_head
        self.is_connect = self.tunnel = is_connect
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
    bare = data.find(b"\n\n", pos) if end < 0 else data.find(b"\n\n", pos, end + 1)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def parse_request_head(data: bytes, pos: int, end: int) -> RequestHead | None:
    """The request whose head is `data[pos:end]`, or None if that is no HTTP/1.x, or one that cannot be framed for sure."""
    first, *lines, _, _ = data[pos:end].split(b"\n")  # the head ends with an empty line
    start = _requests.get(first) or _request_line(first)
    if start is None:
        return None
    head = RequestHead(start[0], is_head=start[1], is_connect=start[2])
    length: bytes | None = None
    known = _lines.get
    for line in lines:
        field = known(line) or _field(line)
        if field is _NO_FIELD:
            continue
        if field is None:
            return None
        name, value = field
        if name == "content-length":
            if length is not None and length != value:
                return None
            length = value
        elif name == "transfer-encoding":
            if not _ends_chunked(value):
                return None  # RFC 9112, 6.3: the length of such a request cannot be told
            head.length = None
        elif name == "upgrade":
            head.tunnel = True
        else:
            _take_evidence(head, name, value)
    if length is not None and head.length is not None:
        if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
            return None
        head.length = int(length)
    return head


def _take_evidence(head: RequestHead, name: str, value: bytes) -> None:
    if name == "traceparent":
        match = _TRACEPARENT.fullmatch(value)
        if match is not None:
            head.trace_id, head.parent_id = match[1].decode(), match[2].decode()
            head.sampled = bool(int(match[3], 16) & 1)
    elif name == "baggage":
        found = _OP_ID.search(value)
        if found is not None:
            text = found[1].decode("latin-1")
            head.op_id = (unquote(text) if "%" in text else text)[:200]
    elif name == "x-budget-ms":
        head.budget_ms = number_of(value)
    elif name == "idempotency-key":
        head.idempotency_key = value.decode("latin-1")[:200]


def parse_reply_head(data: bytes, pos: int, end: int) -> ReplyHead | None:
    """The reply whose head is `data[pos:end]`, or None if that is no HTTP/1.x, or one that cannot be framed for sure."""
    first, *lines, _, _ = data[pos:end].split(b"\n")  # the head ends with an empty line
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        return None
    head = ReplyHead(int(match[1]))
    retry_after = date = b""
    encoded = False
    known = _lines.get
    for line in lines:
        field = known(line) or _field(line)
        if field is _NO_FIELD:
            continue
        if field is None:
            return None
        name, value = field
        if name == "content-length":
            if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS or head.length not in (None, int(value)):
                return None
            head.length = int(value)
        elif name == "transfer-encoding":
            head.chunked = _ends_chunked(value)
        elif name == "content-type":
            head.event_stream = value[:17].lower() == b"text/event-stream"
        elif name == "retry-after":
            retry_after = value
        elif name == "date":
            date = value
        elif name == "content-encoding":
            encoded = value.lower() != b"identity"
    head.event_stream = head.event_stream and not encoded  # a compressed stream does not show its marker
    if retry_after:
        head.retry_after_s = retry_after_s(retry_after, date)
    return head


def _ends_chunked(value: bytes) -> bool:
    return value.rpartition(b",")[2].strip().lower() == b"chunked"
