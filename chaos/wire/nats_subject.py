"""NATS subjects as signatures: what looks like an identifier is folded, and what a JetStream acknowledgement tells is read."""

from __future__ import annotations

import re

from chaos.model.wire_record import HOUSEKEEPING

__all__ = ["INBOX", "JS_ACK", "JS_FLOW", "JS_PULL", "ack_signature", "covers", "deliveries", "subject_signature"]

INBOX = b"_INBOX."
JS_ACK = b"$JS.ACK."
JS_PULL = b"$JS.API.CONSUMER.MSG.NEXT."
JS_FLOW = b"$JS.FC."
_DONE = ("+ACK", "+NXT")

_IDENTIFIER = re.compile(
    r"""
      \d+                                             # 42
    | [0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}     # a UUID
    | (?=[a-f]*\d)[0-9a-f]{8,}                        # a hexadecimal number
    | [a-z]+(?:[-_:][0-9a-z]+)*[-_:](?:\d+|(?=[a-f]*\d)[0-9a-f]{6,})  # task_3fa94c01, tasks-7-3fa94c01
    | (?=[^\d]*\d)[0-9a-z_~:-]{20,}                   # ULID, KSUID: long, with a digit
    | [0-9a-z]{22}                                    # a NUID
    """,
    re.VERBOSE | re.IGNORECASE,
)
# The server's own names for consumers that have none; only looked for where a consumer is named.
_EPHEMERAL = re.compile(r"(?=[^\d]*\d)(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[0-9A-Za-z]{8}")
_JS_CONSUMER = b"$JS.API.CONSUMER."
_CACHE_LIMIT = 4_096
_SIGNATURE_CHARS = 200
_templates: dict[bytes, str] = {}


def subject_signature(verb: str, subject: bytes) -> str:
    """`PUB tasks.{id}`; all inboxes are `_INBOX.{id}`, flow control is housekeeping."""
    if subject.startswith(INBOX):
        return f"{verb} _INBOX.{{id}}"
    if subject.startswith(JS_FLOW):
        return f"{HOUSEKEEPING}{verb} $JS.FC"
    if subject.startswith(_JS_CONSUMER):
        return f"{verb} {_consumer(subject)}"
    return f"{verb} {_template(subject)}"


def ack_signature(subject: bytes, kind: str) -> str:
    """`PUB $JS.ACK.STREAM.consumer` of an acknowledgement's subject, which has stream, consumer and then numbers.

    What says something else than "done" (`+ACK`, `+NXT`) has it in front of the subject: `PUB -NAK $JS.ACK.STREAM.consumer`.
    """
    tokens = subject.split(b".")
    first = _first(tokens)
    verb = "PUB" if kind in _DONE else f"PUB {kind}"
    return f"{verb} $JS.ACK.{_consumer(b'.'.join(tokens[first : first + 2]))}"


def covers(pattern: bytes, subject: bytes) -> bool:
    """Whether a subscription to that pattern is delivered messages of that subject: `*` is one token, `>` at the end one or more."""
    if pattern == subject:
        return True
    wanted, tokens = pattern.split(b"."), subject.split(b".")
    if wanted[-1] == b">":
        del wanted[-1]
        if len(tokens) <= len(wanted):
            return False
        del tokens[len(wanted) :]
    return len(wanted) == len(tokens) and all(one in (b"*", token) for one, token in zip(wanted, tokens, strict=True))


def deliveries(subject: bytes) -> int:
    """How often the message of this acknowledgement subject was delivered, this time included; 0 if it does not say."""
    tokens = subject.split(b".")
    at = _first(tokens) + 2
    return int(tokens[at]) if len(tokens) > at and tokens[at].isdigit() and len(tokens[at]) < 10 else 0


def _first(tokens: list[bytes]) -> int:
    # ADR-15: nine tokens, or from twelve on with domain and account hash before the stream (eleven without the random one).
    return 2 if len(tokens) < 11 else 4


def _consumer(subject: bytes) -> str:
    front, dot, name = _template(subject).rpartition(".")
    return front + dot + ("{id}" if _EPHEMERAL.fullmatch(name) else name)


def _template(subject: bytes) -> str:
    known = _templates.get(subject)
    if known is None:
        tokens = subject.decode("utf-8", "replace").split(".")
        known = ".".join("{id}" if _IDENTIFIER.fullmatch(token) else token for token in tokens)[:_SIGNATURE_CHARS]
        if len(_templates) >= _CACHE_LIMIT:
            _templates.clear()
        _templates[subject] = known
    return known
