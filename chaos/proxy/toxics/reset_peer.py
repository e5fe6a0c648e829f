"""reset_peer: `timeout` ms after the first data (or the end) of its direction both sides get an RST; nothing passes before."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import MAX_NS, MS, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class ResetPeerAttributes(Attributes, frozen=True):
    """Milliseconds; a negative wait is none."""

    timeout: int = 0


class ResetPeerStage(Stage):
    """Keeps what comes, so that its removal loses nothing."""

    attributes: ResetPeerAttributes

    __slots__ = ("first_ns", "kept")

    def begin(self, now_ns: int) -> None:
        self.kept: list[Item] = []
        self.first_ns: int | None = None

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.held += len(chunk)
        return self._keep(chunk, now_ns)

    def end(self, end: End, now_ns: int) -> list[Item]:
        return self._keep(end, now_ns)

    def wake(self, now_ns: int) -> list[Item]:
        if self.first_ns is None:
            return []
        self.wake_ns = self.first_ns + min(max(0, self.attributes.timeout) * MS, MAX_NS)
        return [End.RESET] if self.wake_ns <= now_ns else []

    def update(self, attributes: ResetPeerAttributes, now_ns: int) -> list[Item]:
        self.attributes = attributes
        return self.wake(now_ns)

    def remove(self, now_ns: int) -> list[Item]:
        self.held = 0
        return self.kept

    def _keep(self, item: Item, now_ns: int) -> list[Item]:
        self.acted = True
        self.kept.append(item)
        if self.first_ns is None:
            self.first_ns = now_ns
        return self.wake(now_ns)


TOXIC = ToxicType(name="reset_peer", attributes=ResetPeerAttributes, stage=ResetPeerStage)
