"""Which message fault takes a turn: each counts its own messages, and of those that take the same one the oldest acts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.model.fault_kind import Phase
from chaos.proxy.message.plan import Named, Plan
from chaos.proxy.message.turn import Dialect, Turn

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["choose", "choose_at_item", "plan_setup"]

SETUP = frozenset({"startup", "CONNECT"})
"""What connections begin with: only who matches it, or acts at CONNECT, means it."""
_APART = SETUP | {"cancel", "UNSUB"}
_SUBSCRIBING = ("SUB ", "UNSUB ")


def choose(connection: Connection, dialect: Dialect, turn: Turn, names: tuple[Named, ...]) -> Plan | None:
    """What is about to be done to that turn; every fault that is on counts its messages.

    What acts in the midst of an answer counts those that come so far (`choose_at_item`).
    """
    found: Plan | None = None
    for toxic in connection.proxy.chain.message_faults:
        if not toxic.active:
            continue
        meant = tuple(name for name in names if _means(toxic, name))
        if not meant or not _can_act(toxic, dialect, turn):
            continue
        if _counts_items(toxic):
            turn.later += ((toxic, names, meant),)
            continue
        picked = _pick(toxic, connection, meant)
        if picked is not None and found is None and toxic.moment is not None:
            found = _plan(toxic, toxic.moment.phase, names, picked)
    return found


def choose_at_item(connection: Connection, turn: Turn, item: int) -> Plan | None:
    """What is about to be done to the answer where that item of it begins."""
    found: Plan | None = None
    for toxic, names, meant in turn.later:
        if toxic.over or toxic.moment.item != item:
            continue
        picked = _pick(toxic, connection, meant)
        if picked is not None and found is None:
            found = _plan(toxic, Phase.DURING, names, picked)
    return found


def plan_setup(toxic: Toxic, names: tuple[Named, ...]) -> Plan | None:
    """What is about to be done to the turn that a connection begins with."""
    name = next((name for name in names if name.unit.signature in SETUP), None)
    return None if name is None else _plan(toxic, Phase.BEFORE, names, name)


def _plan(toxic: Toxic, phase: Phase, names: tuple[Named, ...], name: Named) -> Plan:
    kind = toxic.kind.action
    assert kind is not None
    return Plan(toxic, kind(toxic), phase, names, name)


def _can_act(toxic: Toxic, dialect: Dialect, turn: Turn) -> bool:
    moment, action = toxic.moment, toxic.kind.action
    if moment is None or action is None or moment.phase is Phase.CONNECT:
        return False
    if action.answers and not dialect.hears(turn, toxic.spec.answer or ""):
        return False
    if turn.replies or moment.phase is Phase.BEFORE:
        return True
    return moment.phase is Phase.AFTER and action.unanswered


def _counts_items(toxic: Toxic) -> bool:
    during = toxic.moment is not None and toxic.moment.phase is Phase.DURING
    return during and toxic.tally is not None and toxic.tally.counts


def _means(toxic: Toxic, name: Named) -> bool:
    if _apart(name.unit.signature) and (toxic.tally is None or not toxic.tally.matches):
        return False
    return toxic.tally is None or toxic.tally.fits(name.unit)


def _pick(toxic: Toxic, connection: Connection, meant: tuple[Named, ...]) -> Named | None:
    """The first of those messages that the count takes, if the draw does, too."""
    tally = toxic.tally
    counted = [name for name in meant if tally is None or tally.decide(connection.number, name.unit)]
    if not counted or not toxic.draws(connection.proxy.name, counted[0].unit.signature):
        return None
    return counted[0]


def _apart(signature: str) -> bool:
    """What is no work but makes work possible, or calls it off: meant by who matches it. A subscription lost is lost for good."""
    return signature in _APART or signature.startswith(_SUBSCRIBING)
