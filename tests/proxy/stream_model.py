"""What a connection's bytes do under toxics whose outcome is certain, and which steps leave it certain in Toxiproxy 2.12.

It says what to wait for; no test asserts that a server does what the model says.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace

from tests.proxy.stream_actions import KINDS, LONG_MS, SIDES, Action, Add, Attributes, Close, Remove, Send, Update

__all__ = ["Expected", "Step", "script"]


@dataclass(frozen=True, kw_only=True)
class Toxic:
    """A toxic as far as bytes go."""

    name: str
    type: str
    attributes: Attributes
    toxicity: int

    @property
    def role(self) -> str:
        """What its attributes do, whatever its toxicity."""
        if self.attributes.get("rate") == 0 or self.attributes.get("latency") == LONG_MS:
            return "holds"
        if self.attributes.get("delay") == LONG_MS:
            return "holds end"
        return {"timeout": "drops", "limit_data": "limits"}.get(self.type, "passes")

    @property
    def holds(self) -> bool:
        """Whether it keeps something for as long as a test runs."""
        return self.toxicity > 0 and self.role.startswith("holds")


@dataclass(kw_only=True)
class Stream:
    """One direction: what has got through, what is held. `closed`: nothing more enters; `ended`: the receiver saw it."""

    chain: list[Toxic] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    passed: int = 0
    held: list[int] = field(default_factory=list)
    held_end: bool = False
    closed: bool = False
    ended: bool = False

    @property
    def holding(self) -> bool:
        """Whether bytes or the end wait in a toxic."""
        return bool(self.held) or self.held_end

    def flow(self, size: int, *, end: bool = False, start: int = 0) -> None:
        """A chunk, and perhaps the end behind it, goes through the chain from `start` on."""
        for toxic in self.chain[start:]:
            role = toxic.role if toxic.toxicity else "passes"
            if role == "drops":
                size = 0
            elif role == "limits" and size:
                room = max(0, toxic.attributes["bytes"] - self.counts.get(toxic.name, 0))
                end = end or size >= room
                size = min(size, room)
                self.counts[toxic.name] = self.counts.get(toxic.name, 0) + size
            self.closed = self.closed or end
            if role == "holds" and (size or self.held):
                self.held += [size] if size else []
                self.held_end = end
                return
            if role == "holds end" and end:
                self.held_end, end = True, False
        self.passed += size
        self.closed = self.closed or end
        self.ended = self.ended or end

    def replace(self, place: int, after: Toxic | None) -> None:
        """A toxic changes or, with None, goes; what it held goes on behind it."""
        before = self.chain[place]
        self.chain[place : place + 1] = [] if after is None else [after]
        if before.holds and not (after is not None and after.holds):
            held, end = sum(self.held), self.held_end
            self.held, self.held_end = [], False
            self.flow(held, end=end, start=place)

    def possible(self, chain: list[Toxic]) -> bool:
        """Whether everything held in such a chain can be let go again.

        2.12 hands what a removed toxic held to the next one. One that takes nothing (it holds, too, or its limit is reached)
        makes the call wait five seconds for each chunk, and the chunks are lost. An end that passes two holders is kept by
        the second for good: once a toxic is closed, 2.12 looks for those behind it in the wrong places.
        """
        roles = [toxic.role for toxic in chain]
        holders = [place for place, role in enumerate(roles) if role.startswith("holds")]
        behind = roles[holders[0] :] if holders else []
        return len(chain) <= 3 and len(holders) <= 1 and "limits" not in behind

    def changeable(self, before: Toxic | None, after: Toxic | None) -> bool:
        """Whether a toxic can come (`before` is None), change, or go (`after` is None) with one outcome.

        While something is held, only what holds it may go. A change stops the toxic and the one before it; a stopped holder
        of 2.12 lets go the chunk it has in hand. A bandwidth toxic in that state reads a changed rate without a lock, which
        now and then ends the whole server. Where an end waits, toxics before it are closed, see `possible`.
        """
        if self.ended or (self.closed and not self.holding) or self.known(before, after):
            return False
        if before is not None and after is None and before.type == "timeout":
            return not self.holding and all(toxic.role != "holds end" for toxic in self.chain)
        if not self.holding:
            return True
        if before is None or not before.holds:
            return False
        return after is None or (not after.holds and before.attributes.get("rate") == after.attributes.get("rate"))

    def known(self, before: Toxic | None, after: Toxic | None) -> bool:
        """Whether ours is known to differ.

        A timeout toxic of toxicity 0 does nothing when it is removed; 2.12 closes. One that is updated to 0 closes; 2.12 goes
        on with a hole. A limit that was off for a while counts from 0 again; 2.12 remembers.
        """
        if before is None:
            return False
        if before.type == "timeout":
            return not before.toxicity if after is None else after.toxicity < before.toxicity
        counted = before.type == "limit_data" and self.counts.get(before.name, 0) > 0
        return counted and after is not None and after.toxicity > before.toxicity


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Bytes that each side has and which sides have seen an end; `sure`: a byte or an end tells that the step is done."""

    sizes: tuple[int, int]
    ends: tuple[bool, bool]
    sure: bool


@dataclass(frozen=True, kw_only=True)
class Step:
    """An action on the toxic of that name and stream, and what it leads to."""

    action: Action
    name: str
    attributes: Attributes | None
    expected: Expected


@dataclass(kw_only=True)
class Life:
    """A connection and the toxics of its proxy; it is `open` from the first byte or end on."""

    up: Stream = field(default_factory=Stream)
    down: Stream = field(default_factory=Stream)
    open: bool = False
    reset: bool = False
    names: int = 0

    def stream(self, name: str) -> Stream:
        """By its name in the API."""
        return self.up if name == "upstream" else self.down

    def find(self, number: int) -> tuple[Stream, int] | None:
        """The stream and place of the `number`th toxic, counted round."""
        places = [(stream, place) for stream in (self.up, self.down) for place in range(len(stream.chain))]
        return places[number % len(places)] if places else None

    def do(self, action: Action) -> tuple[str, Attributes | None] | None:
        """Take a step; None, with the state spoiled, if its outcome is not certain. Else the toxic's name and attributes."""
        if isinstance(action, Add):
            return self._add(action)
        if isinstance(action, Update | Remove):
            return self._change(action)
        stream = self.stream(SIDES[action.side])
        self.open = True
        # Beyond a few chunks held, bytes stay in the kernel, where a close turns them into an RST.
        if stream.closed or len(stream.held) >= 2 or (self.reset and isinstance(action, Send)):
            return None
        if isinstance(action, Send):
            stream.flow(action.size)
        else:
            self.reset = self.reset or action.how == "rst"
            stream.flow(0, end=True)
        return "", None

    def _add(self, action: Add) -> tuple[str, Attributes] | None:
        self.names += 1
        stream = self.stream(action.stream)
        toxic = Toxic(name=f"t{self.names}", type=action.type, attributes=action.attributes, toxicity=action.toxicity)
        if not stream.changeable(None, toxic) or not stream.possible([*stream.chain, toxic]):
            return None
        stream.chain.append(toxic)
        return toxic.name, toxic.attributes

    def _change(self, action: Update | Remove) -> tuple[str, Attributes | None] | None:
        found = self.find(action.number)
        if found is None:
            return None
        stream, place = found
        before, after, attributes = stream.chain[place], None, None
        if isinstance(action, Update):
            choices = KINDS[before.type]
            attributes = None if action.choice is None else choices[action.choice % len(choices)]
            toxicity = before.toxicity if action.toxicity is None else action.toxicity
            after = replace(before, attributes=attributes or before.attributes, toxicity=toxicity)
        chain = [after if toxic is before else toxic for toxic in stream.chain]
        if not stream.changeable(before, after) or not stream.possible([toxic for toxic in chain if toxic]):
            return None
        stream.replace(place, after)
        if after is None and before.type == "timeout" and self.open:
            stream.flow(0, end=True, start=place)
        return before.name, attributes

    def settle(self) -> bool:
        """Let an end that got out close the other direction; whether the outcome is not known to differ.

        An end or an RST closes both directions of ours at once. In 2.12 what the toxics of the other direction hold, and what
        was on its way before an RST, still arrives when they go.
        """
        for one, other in ((self.up, self.down), (self.down, self.up)):
            if one.ended and not other.closed:
                other.flow(0, end=True)
        return self.up.ended == self.down.ended and (self.up.ended or not self.reset)

    def seen(self) -> tuple[tuple[int, int], tuple[bool, bool]]:
        """By the client and by the server."""
        return (self.down.passed, self.up.passed), (self.down.ended, self.up.ended)


def script(actions: Iterable[Action]) -> list[Step]:
    """The actions that have one outcome, one after the other, until the connection is over."""
    life, steps = Life(), []
    for action in actions:
        trial = deepcopy(life)
        target = trial.do(action)
        if target is None or not trial.settle():
            continue
        quiet = isinstance(action, Send | Close) and trial.seen() == life.seen()
        sizes, ends = trial.seen()
        steps.append(Step(action=action, name=target[0], attributes=target[1],
                          expected=Expected(sizes=sizes, ends=ends, sure=not quiet)))  # fmt: skip
        life = trial
        if all(ends):
            break
    return steps
