"""What streams held before a run: what they had lost by then was none of its messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Marks", "StreamMark", "removed_since"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMark:
    """A stream at a moment: the numbers of its first and last message, and how many it holds. An empty one begins after its last."""

    first: int = 1
    last: int = 0
    messages: int = 0


Marks = Mapping[str, StreamMark]
"""Streams by name. One that is missing here is taken as new: whatever it lost, it may have lost during the run."""


def removed_since(before: StreamMark, now: StreamMark) -> int:
    """So many messages that came since `before` are gone, at most.

    No more than all that were removed since, and no more than the numbers from there on that are not held: a stream that drops its
    oldest messages at a limit loses none of the run's as long as it still holds older ones.
    """
    if now.last < before.last:  # another stream of that name
        before = StreamMark()
    in_all = (now.last - now.messages) - (before.last - before.messages)
    off_the_front = max(0, now.first - 1 - before.last)
    within = now.last - now.first + 1 - now.messages
    return max(0, min(in_all, off_the_front + within))
