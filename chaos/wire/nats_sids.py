"""What the caller of a NATS connection has subscribed to: which sid hears a subject, until UNSUB or its last message ends it. Pure."""

from __future__ import annotations

from chaos.wire.nats_subject import covers

__all__ = ["Subscriptions"]

_MOST = 4_096
_SUBJECT_BYTES = 512  # so much of a subject is remembered


class Subscriptions:
    """`limited`: how many more messages those sids are delivered that are to end by themselves.

    An UNSUB with a maximum counts what was delivered before it, too; here that is not known, and such a sid may be remembered for longer.
    """

    __slots__ = ("_patterns", "_subjects", "limited")

    def __init__(self) -> None:
        self._subjects: dict[bytes, bytes] = {}
        self._patterns: dict[bytes, bytes] = {}  # those of them with wildcards
        self.limited: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._subjects)

    def add(self, sid: bytes, subject: bytes) -> None:
        """SUB. Beyond a bound one is forgotten, of those first that are about to end."""
        self.drop(sid)
        if len(self._subjects) >= _MOST:
            self.drop(next(iter(self.limited or self._subjects)))
        self._subjects[sid] = subject[:_SUBJECT_BYTES]
        if b"*" in subject or b">" in subject:
            self._patterns[sid] = self._subjects[sid]

    def drop(self, sid: bytes) -> None:
        """UNSUB."""
        self._subjects.pop(sid, None)
        self._patterns.pop(sid, None)
        self.limited.pop(sid, None)

    def limit(self, sid: bytes, most: bytes) -> None:
        """UNSUB with a maximum: it ends with the last of so many messages."""
        if not most.isdigit() or len(most) > 9:
            return
        if not int(most):
            self.drop(sid)
        elif sid in self._subjects:
            self.limited[sid] = int(most)

    def delivered(self, sid: bytes) -> None:
        """A message came for it."""
        left = self.limited.get(sid)
        if left == 1:
            self.drop(sid)
        elif left is not None:
            self.limited[sid] = left - 1

    def subject(self, sid: bytes) -> bytes | None:
        """What that sid hears."""
        return self._subjects.get(sid)

    def hearing(self, subject: bytes) -> bytes | None:
        """A sid that hears that subject."""
        if len(subject) < _SUBJECT_BYTES:
            for sid, own in self._subjects.items():
                if own == subject:
                    return sid
        for sid, pattern in self._patterns.items():
            if len(pattern) < _SUBJECT_BYTES and covers(pattern, subject):
                return sid
        return None
