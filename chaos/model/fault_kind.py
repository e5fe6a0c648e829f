"""What a kind of fault is: its effect on callers, its attributes, and whether it acts on bytes, connections or single messages."""

from __future__ import annotations

from enum import StrEnum

from chaos.model.base import Data

__all__ = ["Attribute", "Effect", "FaultKind", "Phase", "Stream", "split_phase"]


class Effect(StrEnum):
    """What a caller can see of a fault."""

    CUT = "cut"  # the connection ends: refused, reset, closed
    SLOW = "slow"  # the answer comes late or never
    NOTHING = "nothing"  # bytes pass, only re-sliced


class Stream(StrEnum):
    """Direction a toxic works on, as in Toxiproxy: upstream is caller to callee."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Phase(StrEnum):
    """The moment of an exchange at which a message fault acts. `DURING` is written with the number of an item: `during:3`."""

    CONNECT = "connect"  # a connection is made
    BEFORE = "before"  # the message is not passed on
    AFTER = "after"  # it was passed on and done, its answer is swallowed
    DURING = "during"  # at the n-th item of the answer: a row, an event of a stream, a chunk of a body


def split_phase(text: str) -> tuple[Phase, int]:
    """`during:3` is (DURING, 3), `after` is (AFTER, 0). Raises ValueError for what is no phase."""
    word, colon, number = text.partition(":")
    phase = Phase(word)
    if (phase is Phase.DURING) != bool(colon):
        raise ValueError(f"{text!r} is no phase")
    if not colon:
        return phase, 0
    if not number.isascii() or not number.isdecimal() or not int(number[:9]) >= 1 or len(number) > 6:
        raise ValueError(f"{text!r} counts items from 1")
    return phase, int(number)


class Attribute(Data, frozen=True, kw_only=True):
    """One number of a fault kind. `unit` is ms, us, bytes, KB/s (1 KB = 1000 bytes), ppm (a share, in a million) or flag."""

    unit: str
    default: int = 0
    minimum: int = 0
    about: str = ""


class FaultKind(Data, frozen=True, kw_only=True):
    """A kind of fault. `standard` kinds are toxics that a Toxiproxy 2.12 server knows too; they and `directed` ones take a stream.

    `phases`: a message fault, which acts at one of these moments of an exchange. `picks`: it can be told which messages to act on.
    """

    name: str
    about: str
    effects: frozenset[Effect]
    attributes: dict[str, Attribute] = {}
    standard: bool = True
    directed: bool = False
    acts_without_traffic: bool = False
    picks: bool = True
    phases: tuple[Phase, ...] = ()

    @property
    def takes_stream(self) -> bool:
        """Whether it works on one direction, to be chosen."""
        return self.standard or self.directed

    @property
    def of_messages(self) -> bool:
        """Whether it acts on single messages at a moment of their exchange."""
        return bool(self.phases)
