"""A toxic's state machine under an injected clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from chaos.proxy.stage import MS, End, Item, Stage
from chaos.proxy.toxics import TOXIC_TYPES


@dataclass
class Bench:
    """A stage and a clock: runs every wake that is due on the way to a later moment."""

    stage: Stage
    now_ns: int = 0
    out: list[tuple[int, Item]] = field(default_factory=list)

    def until(self, t_ns: int) -> None:
        while self.stage.wake_ns is not None and self.stage.wake_ns <= t_ns:
            self.now_ns = max(self.now_ns, self.stage.wake_ns)
            before = self.stage.wake_ns
            items = self.stage.wake(self.now_ns)
            self._note(items)
            assert items or self.stage.wake_ns != before, "a wake that was due changed nothing"
            if End.RESET in items or End.CLOSE in items:
                break
        self.now_ns = t_ns

    def data(self, chunk: bytes, t_ns: int) -> None:
        self.until(t_ns)
        self._note(self.stage.data(chunk, t_ns))

    def end(self, t_ns: int, end: End = End.FIN) -> None:
        self.until(t_ns)
        self._note(self.stage.end(end, t_ns))

    def update(self, t_ns: int, **attributes: int) -> None:
        self.until(t_ns)
        kind = next(kind for kind in TOXIC_TYPES.values() if isinstance(self.stage.attributes, kind.attributes))
        self._note(self.stage.update(kind.decode(attributes), t_ns))

    def remove(self, t_ns: int) -> None:
        self.until(t_ns)
        self._note(self.stage.remove(t_ns))

    def _note(self, items: list[Item]) -> None:
        self.out += [(self.now_ns, item) for item in items]

    @property
    def data_out(self) -> bytes:
        return b"".join(item for _, item in self.out if isinstance(item, bytes))

    @property
    def sizes(self) -> list[int]:
        return [len(item) for _, item in self.out if isinstance(item, bytes)]

    def ms(self) -> list[tuple[float, Item]]:
        return [(t_ns / MS, item) for t_ns, item in self.out]


def bench(name: str, seed: int = 1, **attributes: int) -> Bench:
    """A stage of that type at time 0."""
    kind = TOXIC_TYPES[name]
    assert kind.stage is not None
    return Bench(kind.stage(kind.decode(attributes), lambda: Random(seed), 0))
