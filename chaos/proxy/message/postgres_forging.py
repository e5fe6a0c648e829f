"""What is said in the place of Postgres: errors with a transaction state that client and server agree on, and garbled messages. Pure."""

from __future__ import annotations

from struct import Struct

from chaos.proxy.message.postgres_talk import Ends, Question, Talk, commits, state_after
from chaos.proxy.message.turn import Answer, Forged, Part, Piece

__all__ = ["forged", "garbled"]

_HEAD = Struct(">BI")
_NO_PORTAL = "chaos_drill_injected_error"  # what the server's log will show

Refused = tuple[bytes, str]
"""What the server is sent instead, and the state of the transaction that the asker is told."""


def forged(talk: Talk, question: Question, answer: Answer, *, done: bool) -> Forged:
    """The error in the answer's place. Inside a transaction the server is made to fail, too, so that it is aborted on both sides."""
    fatal = question.ends is Ends.STARTUP or answer.code.startswith("57P")
    error = _error(answer, fatal=fatal)
    if fatal:
        return Forged(error, closes=True)
    later = bool(talk.questions) and talk.questions[-1] is not question
    if question.ends is Ends.READY:
        instead, state = _behind(talk, question, later=later) if done else _in_place(talk, question)
        error += _message("Z", state.encode())
    elif done and later:
        # What was asked since will be answered, and nobody expects answers behind an error.
        return Forged(_error(answer, fatal=True), closes=True)
    else:
        instead = _fail("H")
    if instead:
        hidden = Question(question.ends, hidden=True)
        hidden.asked = 1
        talk.put_behind(question, hidden)
    if not done:
        talk.forget(question)
    return Forged(error, instead)


def _in_place(talk: Talk, question: Question) -> Refused:
    """The question is not passed on."""
    state = talk.state_before(question)
    if talk.failed:  # a portion before it failed: all that the server still listens to is the Sync
        return _message("S"), "I" if state == "I" else "E"
    if state == "I":
        return (_message("S") if question.behind else b""), "I"
    if commits(question):
        return _message("Q", b"ROLLBACK\0"), "I"
    return (_fail("S") if state == "T" else _message("S") if question.behind else b""), "E"


def _behind(talk: Talk, question: Question, *, later: bool) -> Refused:
    """The question was passed on, and answered in full or in part."""
    before, after = question.before, question.after
    if not question.over:
        before = talk.state_before(question)
        after = state_after(question, before)
    if after != "T" or later:
        return b"", "I" if after == "I" else "E"
    return (_message("Q", b"ROLLBACK\0"), "I") if before == "I" else (_fail("S"), "E")


def _fail(end: str) -> bytes:
    """Messages that the server answers with an error, whatever its state; `end` is Sync or Flush."""
    return _message("E", _NO_PORTAL.encode() + b"\0\0\0\0\0") + _message(end)


def _error(answer: Answer, *, fatal: bool) -> bytes:
    """An ErrorResponse (section 54.8)."""
    severity = "FATAL" if fatal else "ERROR"
    text = f"{answer.text or 'this error is a fault'} (injected by chaos-drill)"
    fields = (f"S{severity}", f"V{severity}", f"C{answer.code}", f"M{text}")
    return _message("E", b"".join(field.replace("\0", "").encode() + b"\0" for field in fields) + b"\0")


def _message(kind: str, body: bytes = b"") -> bytes:
    return _HEAD.pack(ord(kind), len(body) + 4) + body


def garbled(piece: Piece) -> bytes:
    """The same heads and lengths with bodies that neither side can read. The rest of a row that comes in parts has no head."""
    data = piece.data
    if piece.part & Part.REPLY:
        return _garbled_messages(data, 0) if piece.part & Part.ITEM or not piece.item else b"\xff" * len(data)
    question = piece.turn
    first = isinstance(question, Question) and question.ends in {Ends.STARTUP, Ends.NEVER}
    return data[:8] + b"\xff" * (len(data) - 8) if first else _garbled_messages(data, 0)


def _garbled_messages(data: bytes, pos: int) -> bytes:
    damaged = bytearray(data)
    while pos + 5 <= len(data):
        kind, size = _HEAD.unpack_from(data, pos)
        stop = min(pos + 1 + max(size, 4), len(data))
        pos += 5
        damaged[pos:stop] = b"\xff" * (stop - pos)
        if kind == ord("C") and stop > pos:  # libpq waits for the end of a command tag that has none
            damaged[pos] = 0
        pos = stop
    return bytes(damaged)
