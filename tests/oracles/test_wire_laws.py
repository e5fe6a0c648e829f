"""Laws of the wire oracles: a system that keeps the rules is never blamed, whatever it does, and one broken rule is found where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.operation import Operation
from chaos.model.verdict import Finding, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import judge
from tests.oracles.build import MS, SETTINGS, fault, operation, plan, run, steady_load
from tests.oracles.wire import pair, trails

CALLS = {"api": ("api>rag",), "rag": ("rag>gateway",), "gateway": ("gateway>provider",), "provider": ()}
ORACLES = ("trace-context", "trace-parent", "budget", "retry-bound")
WHAT = plan(fault(), settings=msgspec.structs.replace(SETTINGS, retry_factor=1000))
LOAD = steady_load(10, 20)
USUAL = trails(LOAD)


@dataclass(slots=True)
class System:
    """Services that work on one operation: each makes some calls, one after the other or at once, and tries again as it may."""

    random: Random
    one: Operation
    rows: list[WireRecord] = field(default_factory=list)
    spans: int = 0

    def serve(self, service: str, start_ns: int, end_ns: int, budget_ms: float) -> None:
        """Everything that the service sends for a request that it has from start to end."""
        for link in CALLS[service]:
            at_ns = start_ns
            for _ in range(self.random.randint(0, 3)):
                body = f"{self.random.getrandbits(60):x}.9"
                done_ns = self.attempt(link, body, at_ns, end_ns, budget_ms - (at_ns - start_ns) / MS)
                at_ns = start_ns if self.random.random() < 0.2 else done_ns  # the next one at once, or after it

    def attempt(self, link: str, body: str, at_ns: int, end_ns: int, budget_ms: float) -> int:
        """Up to five attempts, each when the last one failed and a pause was kept; when the last one ended."""
        for _ in range(5):
            left_ns = end_ns - at_ns
            if left_ns < 40 * MS:
                break
            begin_ns = at_ns + self.random.randint(1 * MS, 3 * MS)
            reply_ns = begin_ns + self.random.randint(2 * MS, left_ns // 2)
            sent_ms = int(budget_ms - (begin_ns - at_ns) / MS - 5)
            status = self.random.choice(["200", "200", "503", "429", "aborted", "404"])
            pause_ms = self.random.choice([11, 100])
            asked_s = pause_ms / 1000 if status == "429" else None
            self.send(link, body, (begin_ns, reply_ns), status, max(0, sent_ms), asked_s)
            if status in {"200", "404"}:
                return reply_ns
            budget_ms -= (reply_ns + pause_ms * MS - at_ns) / MS
            at_ns = reply_ns + pause_ms * MS
        return at_ns

    def send(
        self, link: str, body: str, times_ns: tuple[int, int], status: str, budget_ms: float, asked_s: float | None
    ) -> None:
        """One message, and what its receiver makes of it."""
        self.spans += 1
        self.rows += pair(
            self.one,
            link,
            "POST /work",
            times_ns,
            connection=self.spans,
            parent=self.spans,
            budget_ms=budget_ms,
            status=status,
            digest=body,
            retry_after_s=asked_s,
        )
        self.serve(link.partition(">")[2], times_ns[0] + MS, times_ns[1], budget_ms)


def worked(random: Random) -> tuple[Operation, list[WireRecord]]:
    """An operation that came in through the api, and its messages in time."""
    one = operation(27.05, took_ms=1900)
    system = System(random, one)
    system.send("driver>api", "question.9", (one.start_ns + MS, one.end_ns), "200", 2000, None)
    return one, sorted(system.rows, key=lambda row: row.t_ns)


def findings(one: Operation, rows: list[WireRecord]) -> tuple[Finding, ...]:
    """What the wire oracles find."""
    verdict = judge(run(WHAT, *LOAD, one, wire=(*USUAL, *rows)))
    cells = [cell for cell in verdict.cells if cell.cell.oracle in ORACLES and cell.cell.fault is None]
    assert not [cell.error for cell in cells if cell.error]
    return tuple(finding for cell in cells for finding in cell.findings)


@settings(max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_a_system_that_keeps_the_rules_is_never_blamed(random: Random) -> None:
    """Calls in rows and at once, failures, attempts again, callers that were cut off: nothing is found."""
    one, rows = worked(random)
    assert findings(one, rows) == ()


def lose(row: WireRecord, _came: WireRecord) -> WireRecord:
    """Without any context."""
    return msgspec.structs.replace(row, trace_id="", parent_id="", op_id="", sampled=None)


def copy(row: WireRecord, came: WireRecord) -> WireRecord:
    """With the parent that came in."""
    return msgspec.structs.replace(row, parent_id=came.parent_id)


def forget(row: WireRecord, _came: WireRecord) -> WireRecord:
    """Without a budget."""
    return msgspec.structs.replace(row, budget_ms=None)


def grow(row: WireRecord, _came: WireRecord) -> WireRecord:
    """With more than the driver gave."""
    return msgspec.structs.replace(row, budget_ms=2003.0)


@pytest.mark.parametrize(
    ("wrong", "error_class"),
    [(lose, "no-traceparent"), (copy, "header-copied"), (forget, "budget-dropped"), (grow, "budget-grown")],
)
@settings(max_examples=25)
@given(random=st.randoms(use_true_random=False))
def test_one_broken_rule_is_found_where_it_is(
    wrong: Callable[[WireRecord, WireRecord], WireRecord], error_class: str, random: Random
) -> None:
    """One message of a service is changed: the finding names its link, and nobody else."""
    one, rows = worked(random)
    sent = [i for i, row in enumerate(rows) if row.kind == "request" and row.link != "driver>api"]
    if not sent:
        return
    at = random.choice(sent)
    sender = rows[at].link.partition(">")[0]
    came = next(row for row in rows if row.kind == "request" and row.link.endswith(f">{sender}"))
    rows[at] = wrong(rows[at], came)
    found = [(each.error_class, each.link) for each in findings(one, rows)]
    assert (error_class, rows[at].link) in found
    assert {link for _, link in found} == {rows[at].link}


def test_the_law_is_not_empty() -> None:
    """The made-up systems do try again, and work in parallel."""
    many = [worked(Random(seed))[1] for seed in range(30)]
    assert max(map(len, many)) > 50
    assert {row.status for rows in many for row in rows if row.kind == "reply"} == {
        "200",
        "503",
        "429",
        "aborted",
        "404",
    }
    assert judge(run(WHAT, *LOAD, wire=USUAL)).verdict is not Verdict.VIOLATED
