"""What the stores held in the end, by operation, and what cannot be said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaos.model.effect import EffectKind, StoredEffect
from chaos.model.evidence import Evidence
from chaos.oracles.text import counted

__all__ = ["Stored"]


class Stored:
    """Effects of one run as they were read back. What was not read, or not recorded, is not nothing: it is unknown."""

    def __init__(self, evidence: Evidence) -> None:
        self._kinds = {one.name: one for one in evidence.plan.ledger.effects}
        self._found: dict[str, dict[str, StoredEffect]] = {}
        totals: dict[str, int] = {}
        for one in evidence.effects:
            if one.count:  # a query may count nothing of an operation: that is as missing as one it does not name
                self._found.setdefault(one.op_id, {})[one.effect] = one
            totals[one.effect] = totals.get(one.effect, 0) + one.count
        reads = {one.effect: one for one in evidence.effect_reads}
        self._unread: dict[str, str] = {}
        self._removed: dict[str, int] = {}
        for kind in evidence.plan.ledger.effects:
            read = reads.get(kind.name)
            if read is None:
                self._unread[kind.name] = f"{kind.about}s were not read back"
            elif read.error is not None:
                self._unread[kind.name] = f"{kind.about}s could not be read back: {read.error}"
            elif totals.get(kind.name, 0) != read.count:
                self._unread[kind.name] = (
                    f"of {counted(read.count, kind.about)} the record holds {totals.get(kind.name, 0)}"
                )
            elif read.removed:
                self._removed[kind.name] = read.removed
        self.restless = _restless(evidence)
        self.seen_ns = evidence.quiet.t_ns if evidence.quiet is not None else 0
        """From when on they were read: what was under way then may have come later."""

    def __repr__(self) -> str:
        return f"<Stored effects of {len(self._found)} operations, {len(self._unread)} kinds unread>"

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, StoredEffect]]]:
        return iter(self._found.items())

    @property
    def kinds(self) -> Mapping[str, EffectKind]:
        """Declared effects by name."""
        return self._kinds

    def about(self, effect: str) -> str:
        """What one effect of that kind is called in a sentence."""
        return self._kinds[effect].about if effect in self._kinds else effect

    def keeper(self, effect: str) -> str:
        """The store that keeps effects of that kind."""
        return self._kinds[effect].store if effect in self._kinds else "a store"

    def of(self, op_id: str) -> Mapping[str, StoredEffect]:
        """What was found of an operation."""
        return self._found.get(op_id, {})

    def count(self, op_id: str, effect: str) -> int | None:
        """How many effects of that kind an operation left, or None where it is not known: not read, or missing where that proves nothing."""
        found = self.of(op_id).get(effect)
        if self.unread(effect) or (found is None and self.gap(effect)):
            return None
        return 0 if found is None else found.count

    def doubt(self, effect: str) -> str:
        """Why there may be more of an effect than was found; empty if all of it is known."""
        return self.unread(effect) or self.gap(effect)

    def unread(self, effect: str) -> str:
        """Why nothing is known of a kind of effect; empty if all of it was read."""
        return self._unread.get(effect, "") if effect in self._kinds else f"the effect {effect} is not declared"

    def gap(self, effect: str) -> str:
        """Why an effect that was not found may have been there, or may yet come; empty if it is truly missing."""
        if self.restless:
            return self.restless
        removed = self._removed.get(effect, 0)
        return (
            f"{self._kinds[effect].store} no longer holds {counted(removed, self._kinds[effect].about)}"
            if removed
            else ""
        )

    @property
    def unsure(self) -> str:
        """Why more effects may be stored than were found; empty if all are known."""
        return next(iter(self._unread.values()), "") or self.restless


def _restless(evidence: Evidence) -> str:
    """Why effects may still have been under way when they were counted; empty if none were."""
    quiet = evidence.quiet
    if quiet is None:
        return "the stores were not read back"
    if quiet.reached:
        return ""
    return f"the stores did not come to rest within {quiet.waited_ms / 1000:.1f} s: {', '.join(quiet.left[:3])}"
