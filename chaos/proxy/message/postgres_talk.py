"""What both directions of a Postgres connection know of each other: what is still to be answered, and the transaction. Pure.

A question is what stands under one Sync, one simple query, one function call, or what a Flush ends: the next portion under the same
Sync is a question of its own, as its asker waits for the answer before it goes on.
"""

from __future__ import annotations

import re
from collections import deque
from enum import Enum

from chaos.proxy.message.turn import Turn

__all__ = ["MOST_OPEN", "Ends", "Question", "Talk", "commits", "state_after", "take"]

MOST_OPEN = 4_096
"""Questions that may wait for their answers; beyond that nothing is cut any more."""

_WORD = re.compile(
    r"(?:(?P<begin>begin|start transaction)|(?P<commit>commit|end)|(?P<rollback>rollback|abort))"
    r"(?: work| transaction)?(?: and (?P<chain>(?:no )?chain))?",
    re.IGNORECASE,
)


class Ends(Enum):
    """What ends the answer to a question."""

    OPEN = "not known yet"
    READY = "ReadyForQuery"
    FLUSH = "as many answers as there were messages, or the first error"
    STARTUP = "ReadyForQuery, or an error"
    NEVER = "a cancel request is not answered"


class Question(Turn):
    """A turn of Postgres. `sync`: a Sync closes it, not a query. `asked` and `answered` count messages that have one answer each.

    `behind`: portions of the same Sync came before it. `before` and `after` are the states of the transaction (`I`, `T`, `E`) that the
    callee told last before it and at its end.
    """

    __slots__ = ("after", "answered", "asked", "authenticated", "before", "behind", "ends", "over", "sync")

    def __init__(self, ends: Ends, *, behind: bool = False, hidden: bool = False) -> None:
        super().__init__(">", replies=ends is not Ends.NEVER, hidden=hidden)
        self.ends = ends
        self.behind = behind
        self.sync = False
        self.asked = self.answered = 0
        self.over = self.authenticated = False
        self.before = self.after = "I"


class Talk:
    """One connection. `opened`: the first packets are over; `state`: what the latest ReadyForQuery told of the transaction."""

    __slots__ = (
        "behind",
        "copied",
        "copying",
        "encrypting",
        "failed",
        "opened",
        "questions",
        "raw",
        "skipped",
        "state",
    )

    def __init__(self, *, opened: bool, state: str) -> None:
        self.opened = opened
        self.state = state
        self.raw = False
        self.encrypting = False  # one byte will answer whether
        self.behind = opened  # portions came since the last Sync, or may have come before anybody looked
        self.failed = False  # after an error in a portion: everything is skipped up to the next Sync
        self.questions: deque[Question] = deque()
        self.skipped: list[Question] = []  # over without a word, behind an error
        self.copying: Question | None = None  # whose COPY the caller is sending
        self.copied = False  # and has sent to its end

    def ask(self, question: Question) -> None:
        """One more question waits for its answer."""
        self.questions.append(question)
        if len(self.questions) > MOST_OPEN:
            self.raw = True

    def current(self) -> Question | None:
        """What the callee is answering; behind an error that is the next Sync."""
        if self.failed:
            synced = next((question for question in self.questions if question.ends is Ends.READY), None)
            if synced is None:
                return None
            self._skip_to(synced)
        return self.questions[0] if self.questions else None

    def finish(self, question: Question, state: str) -> None:
        """Its answer is over."""
        self._skip_to(question)
        self.questions.popleft()
        question.over, question.after = True, state
        if self.copying is question:
            self.copying = None

    def _skip_to(self, question: Question) -> None:
        while self.questions[0] is not question:
            skipped = self.questions.popleft()
            skipped.over = True
            self.skipped.append(skipped)

    def forget(self, question: Question) -> None:
        """No answer to it will come."""
        question.over = True
        if question in self.questions:
            self.questions.remove(question)
        if self.copying is question:
            self.copying = None

    def put_behind(self, question: Question, hidden: Question) -> None:
        """The answer to a question of ours comes next behind that one's, or behind all if that is over."""
        at = self.questions.index(question) + 1 if question in self.questions else len(self.questions)
        self.questions.insert(at, hidden)

    def state_before(self, question: Question) -> str:
        """The state of the transaction in which the question will be answered, as far as can be told."""
        state = self.state
        for earlier in self.questions:
            if earlier is question:
                break
            state = state_after(earlier, state)
        return state


def state_after(turn: Turn, state: str) -> str:
    """What becomes of the transaction if all that the turn consists of succeeds."""
    for word in _words(turn):
        if word["begin"]:
            state = "T" if state == "I" else state
        else:
            state = "T" if (word["chain"] or "").lower() == "chain" else "I"
    return state


def commits(turn: Turn) -> bool:
    """Whether a COMMIT is among what the turn consists of."""
    return any(word["commit"] for word in _words(turn))


def _words(turn: Turn) -> list[re.Match[str]]:
    """The statements about transactions; a simple query may hold several statements."""
    parts = (part.strip() for unit in turn.units for part in unit.signature.split(";"))
    return [found for part in parts if (found := _WORD.fullmatch(part)) is not None]


def take(buffer: bytearray, nbytes: int) -> bytes:
    """The first so many bytes, which leave the buffer."""
    if nbytes == len(buffer):
        taken = bytes(buffer)
        buffer.clear()
        return taken
    with memoryview(buffer) as view:
        taken = bytes(view[:nbytes])
    del buffer[:nbytes]
    return taken
