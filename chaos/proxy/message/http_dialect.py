"""HTTP/1.1 as turns and pieces: a request with its response, pipelined or not. Pure.

The head of a message is one piece, kept back until it is complete; a body streams through. Interim responses (100 Continue) are of no
turn. From an upgrade or CONNECT that succeeds on, and from what is no HTTP, everything passes without a turn.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from chaos.proxy.message.http_answered import Replies
from chaos.proxy.message.http_asked import HttpTurn, Requests
from chaos.proxy.message.turn import Answer, Forged, Piece, Turn

__all__ = ["HttpDialect"]

_GARBLED = bytes(
    byte if byte in b"\r\n" else 0xFF - byte if 0xFF - byte not in b"\r\n" else 0xFE for byte in range(256)
)
"""Line ends stay, so that an event stream keeps its frame; letters become bytes that no text in UTF-8 has on their own."""


class HttpDialect:
    """One connection's cutter."""

    ordered = True
    has_items = True

    def __init__(self) -> None:
        self._requests = Requests()
        self._replies = Replies(self._requests)

    def __repr__(self) -> str:
        return f"<HttpDialect {'raw' if self._requests.raw else 'cutting'} open={len(self._requests.open)}>"

    @property
    def raw(self) -> bool:
        """Whether one of its directions is no HTTP any more."""
        return self._requests.raw or self._replies.raw

    def asked(self, data: bytes) -> list[Piece]:
        """Bytes from the caller."""
        return self._requests.feed(data)

    def answered(self, data: bytes) -> list[Piece]:
        """Bytes from the callee."""
        return self._replies.feed(data)

    def kept(self, direction: str) -> int:
        """A head or the line of a chunk's size: at most 64 KiB and a chunk of the stream."""
        return len(self._requests.carry if direction == ">" else self._replies.carry)

    def give_up(self, direction: str) -> bytes:
        """What was kept back."""
        side = self._requests if direction == ">" else self._replies
        kept, side.carry = side.carry, b""
        return kept

    def ended(self, direction: str) -> list[Piece]:
        """A response without a length ends with the stream."""
        if direction == "<":
            return self._replies.ended()
        kept = self.give_up(direction)
        return [Piece(kept)] if kept else []

    def amid(self, direction: str) -> bool:
        """Whether a message has begun."""
        return self._requests.amid if direction == ">" else self._replies.amid

    def forget(self, turn: Turn) -> None:
        """No response to it will come."""
        if isinstance(turn, HttpTurn):
            if turn.tunnel:
                self._requests.tunnel_refused()
            self._requests.answered(turn)

    def refusal(self, turn: Turn, answer: Answer, *, done: bool) -> Forged:
        """A response with a problem (RFC 9457) as its body."""
        if not done:
            self.forget(turn)
        is_head, old = (turn.is_head, turn.old) if isinstance(turn, HttpTurn) else (False, False)
        closes = _closes(turn, done=done)
        status = int(answer.code)
        title = _title(status)
        problem = {"type": "about:blank", "title": title, "status": status, "detail": answer.text}
        body = json.dumps({key: value for key, value in problem.items() if value != ""}).encode()
        lines = [
            f"HTTP/1.1 {status} {title}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        if answer.retry_after_ms:
            lines.append(f"Retry-After: {-(-answer.retry_after_ms // 1000)}")
        if closes or old:
            lines.append(f"Connection: {'close' if closes else 'keep-alive'}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return Forged(head if is_head else head + body, closes=closes)

    def hears(self, turn: Turn, code: str) -> bool:  # noqa: ARG002 - any status can be told
        """Whoever asks waits for an answer."""
        return turn.replies

    def garbled(self, piece: Piece) -> bytes:
        """Content that is no text; line ends stay."""
        return piece.data.translate(_GARBLED)


def _closes(turn: Turn, *, done: bool) -> bool:
    """Whether the connection cannot go on behind the error."""
    # The body of a request that waits may come or not (RFC 9110, 10.1.1).
    if turn.waits or not isinstance(turn, HttpTurn):
        return turn.waits
    # A callee that has switched protocols, or says that it closes, speaks no HTTP from here on.
    return turn.closes or (done and turn.tunnel)


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
