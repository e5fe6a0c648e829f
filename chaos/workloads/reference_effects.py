"""What the operations of the reference system leave in its stores, in the form in which every system declares it."""

from __future__ import annotations

from chaos.model.effect import EffectKind, Ledger, OpIdIn, SqlRead, StreamRead, Unfinished

__all__ = ["REFERENCE_NAMESPACE", "reference_ledger"]

REFERENCE_NAMESPACE = "ref"
"""Schema, and prefix of streams and subjects, of a reference system that is brought up for a run."""


def reference_ledger(namespace: str = REFERENCE_NAMESPACE) -> Ledger:
    """The effects of the reference system in that namespace.

    A task that ended with a problem is stored too, so that it is not begun again; that is its end, not its effect. Its result is
    published whatever the end was.
    """
    upper = namespace.upper()
    return Ledger(
        effects=(
            EffectKind(
                name="task",
                about="task row",
                store="postgres",
                read=SqlRead(sql=_by_operation(f"{namespace}.tasks WHERE outcome = 'task.result'")),
            ),
            EffectKind(
                name="memory",
                about="memory row",
                store="postgres",
                read=SqlRead(sql=_by_operation(f"{namespace}.memory")),
            ),
            EffectKind(
                name="result",
                about="result message",
                store="nats",
                read=StreamRead(stream=f"{upper}_RESULTS", op_id_in=OpIdIn.SUBJECT, key="-1"),
            ),
            EffectKind(
                name="document",
                about="document row",
                store="postgres",
                read=SqlRead(sql=_by_operation(f"{namespace}.documents")),
            ),
            EffectKind(
                name="announcement",
                about="announcement message",
                store="nats",
                read=StreamRead(stream=f"{upper}_DOCUMENTS"),
            ),
        ),
        unfinished=tuple(
            Unfinished(name=f"{service}_outbox", sql=f"SELECT count(*) FROM {namespace}.{service}_outbox")  # noqa: S608 - names of our own
            for service in ("agent", "rag")
        ),
    )


def _by_operation(source: str) -> str:
    return f"SELECT op_id, count(*) FROM {source} GROUP BY op_id"  # noqa: S608 - names of our own
