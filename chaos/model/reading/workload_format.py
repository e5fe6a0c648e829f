"""The form of workloads: those of the reference system, and plain ones for any system."""

from __future__ import annotations

from chaos.model.plain import PLAIN_KINDS
from chaos.model.reading.groups import Field, MapOf, Record, Variants
from chaos.model.reading.limits import MAX_BOUND, MAX_RATE_PER_S
from chaos.model.reading.measured import Duration, Rate
from chaos.model.reading.plain import Choice, Name, Whole
from chaos.model.reading.plain_format import PLAIN_ABOUT, plain_fields
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import Arrivals
from chaos.model.workload import WorkloadKind

__all__ = ["workload_format"]

_ARRIVALS = tuple(one.value for one in Arrivals)
_AT_ONCE = "all operations of {} answer at once, write deadline"


def workload_format(vocabulary: Vocabulary) -> Variants:
    """A workload of one of the kinds that the product knows."""
    records = {kind.name: _shipped(kind) for kind in vocabulary.workloads}
    return Variants("workload", "kind", {**records, **{kind: _plain(kind) for kind in PLAIN_KINDS}})


def _shipped(kind: WorkloadKind) -> Record:
    weights = {one.name: one.weight for one in kind.operations}
    fields = _load(kind.name, "that of the operation")
    fields["operations"] = Field(
        MapOf(Whole(least=1, most=1000, example=1), "operation", tuple(weights)),
        "Weights of operations; those left out are not used",
        weights,
        default=", ".join(f"{name} {weight}" for name, weight in weights.items()),
    )
    moved = {}
    if not any(one.asynchronous for one in kind.operations):
        moved["completion"] = _AT_ONCE.format(kind.name)
        del fields["completion"]
    return Record(f"{kind.name} workload", fields, kind.about[:1].upper() + kind.about[1:], moved)


def _plain(kind: str) -> Record:
    own = plain_fields(kind)
    load = _load(kind, "2s, and 10s to a completion")
    fields = {"kind": load.pop("kind"), "name": load.pop("name"), "to": own.pop("to"), **load, **own}
    moved = {}
    if kind != "nats":
        moved["completion"] = _AT_ONCE.format(kind)
        del fields["completion"]
    moved |= {
        one: f"write {one}: under an operation, such as operations: {{look: {{...}}}}"
        for one in ("request", "query", "script", "publish", "expect", "uses")
    }
    return Record(f"{kind} workload", fields, PLAIN_ABOUT[kind], moved)


def _load(kind: str, deadline: str) -> dict[str, Field]:
    """The keys of every workload; `deadline` says what holds without one."""
    return {
        "kind": Field(Choice(what="workload", words=(kind,)), "The kind", kind, required=True),
        "name": Field(
            Name(reserved=("none", "all")), "Its name in reports, unique in the file", kind, default="the kind"
        ),
        "rate": Field(
            Rate(most_per_s=MAX_RATE_PER_S),
            "Operations started per unit of time, whatever the answers do",
            "4/s",
            required=True,
        ),
        "arrivals": Field(
            Choice(what="arrival process", words=_ARRIVALS),
            "Gaps between starts: poisson (exponential) or constant",
            "constant",
            default="poisson",
        ),
        "bound": Field(
            Whole(least=1, most=MAX_BOUND, example=32),
            "Most operations in flight; a start beyond it is dropped and counted, never queued",
            32,
            default="32",
        ),
        "deadline": Field(_deadline(), "Budget of operations that answer at once", "2s", default=deadline),
        "completion": Field(_deadline(), "Time to the completion of asynchronous operations", "10s", default=deadline),
    }


def _deadline() -> Duration:
    return Duration(least_ms=10, most_ms=300_000, example="2s")
