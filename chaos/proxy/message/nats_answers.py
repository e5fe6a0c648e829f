"""What is said in somebody's place on a NATS connection, and payloads nobody can read. Pure.

An `error` fault's answer is `no-responders` (a message with the status 503, as the server sends it), `js-503` (an error of JetStream:
HTTP-like code, or `js-503-10077` with the error code, too; who pulls is told the code as a status), or `-ERR text`. Who publishes without
a reply subject can only be told -ERR.
"""

from __future__ import annotations

import json
import re

from chaos.proxy.message.turn import Answer, Forged
from chaos.wire.nats_subject import JS_ACK, JS_PULL

__all__ = ["ANSWERS", "NO_RESPONDERS", "garbled", "refuse_delivery", "refuse_publication", "server_error", "understood"]

NO_RESPONDERS = "no-responders"
ANSWERS = "no-responders, js-503 (or js-CODE-ERRCODE) or '-ERR text'"
_ERR = "-ERR"
_JETSTREAM = re.compile(r"js-(\d{3})(?:-(\d{5}))?")
_UNAVAILABLE = 10_008
_UNREADABLE = b"\xc1"  # no MessagePack begins with it, no UTF-8 has it


def understood(code: str) -> bool:
    """Whether a fault may answer that on a NATS link; `ANSWERS` says what it may."""
    return code == NO_RESPONDERS or _JETSTREAM.fullmatch(code) is not None or code.partition(" ")[0] == _ERR


def refuse_publication(subject: bytes, reply: bytes, sid: bytes, answer: Answer) -> bytes:
    """The message that refuses what was published, to the inbox `reply` of the subscription `sid`."""
    jetstream = _JETSTREAM.fullmatch(answer.code)
    if jetstream is not None and not subject.startswith(JS_PULL):
        error = _jetstream_error(answer)
        return b"MSG %b %b %d\r\n%b\r\n" % (reply, sid, len(error), error)
    headers = b"NATS/1.0 503\r\nNats-Subject: %b\r\n\r\n" % subject
    if jetstream is not None:  # whoever pulls takes any message without a status for work (ADR-13)
        headers = f"NATS/1.0 {jetstream[1]} {' '.join(_description(answer).split())}\r\n\r\n".encode()
    return b"HMSG %b %b %d %d\r\n%b\r\n" % (reply, sid, len(headers), len(headers), headers)


def refuse_delivery(reply: bytes, answer: Answer) -> bytes:
    """What the receiver of a delivery publishes who refuses it: -NAK to JetStream, otherwise an error to who asked."""
    if reply.startswith(JS_ACK):
        return b"PUB %b 4\r\n-NAK\r\n" % reply
    if _JETSTREAM.fullmatch(answer.code):
        error = _jetstream_error(answer)
        return b"PUB %b %d\r\n%b\r\n" % (reply, len(error), error)
    headers = b"NATS/1.0 503\r\n\r\n"
    return b"HPUB %b %d %d\r\n%b\r\n" % (reply, len(headers), len(headers), headers)


def server_error(answer: Answer) -> Forged:
    """-ERR, and the end of the connection behind it where the server would end it, too."""
    said = answer.code.partition(" ")[2] if answer.code.startswith(_ERR) else ""
    text = " ".join((said.strip(" '") or answer.text or "No Responders").split())
    # NATS client protocol, +OK/-ERR: of all errors only these leave the connection open.
    stays = text.lower().startswith(("permissions violation", "invalid subject"))
    return Forged(f"-ERR '{text}'\r\n".encode(), closes=not stays)


def garbled(message: bytes) -> bytes:
    """A whole PUB, HPUB, MSG or HMSG with its payload unreadable, as long as it was; line and headers stay."""
    body = message.index(b"\n") + 1
    args = message[:body].split()
    start = body + (int(args[-2]) if args[0][:1] in b"Hh" else 0)
    return message[:start] + _UNREADABLE * (len(message) - 2 - start) + message[-2:]


def _jetstream_error(answer: Answer) -> bytes:
    match = _JETSTREAM.fullmatch(answer.code)
    assert match is not None
    error = {"code": int(match[1]), "err_code": int(match[2] or _UNAVAILABLE), "description": _description(answer)}
    return json.dumps({"error": error}).encode()


def _description(answer: Answer) -> str:
    return answer.text or "JetStream system temporarily unavailable"
