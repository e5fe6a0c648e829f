"""retry-bound: few attempts, with pauses, where another can help, and no storm."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from chaos.model.operation import Operation
from chaos.model.scenario import RetryCaps
from chaos.model.settings import Settings
from chaos.model.verdict import CellVerdict, Verdict
from chaos.model.wire_record import WireRecord
from tests.oracles.build import NO_ANSWER, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import attempts, changed, trails

LINK = "gateway>provider"
LOAD = steady_load(10, 20)
ASKED = operation(27.05, took_ms=1900)  # later than the baseline, which it would be compared with
PAUSED = (100, 150, 250, 450, 850)  # five attempts, ever longer apart


def bound(wire: Iterable[WireRecord], asked: Operation = ASKED, **expect: object) -> CellVerdict:
    """retry-bound of quiet time: a good load, and one operation with these further messages."""
    evidence = run(plan(fault(), **expect), *LOAD, asked, wire=(*trails((*LOAD, asked)), *wire))
    return judged(evidence, "retry-bound/none/rag")


def classes(verdict: CellVerdict) -> list[str]:
    """Classes of its findings."""
    return [one.error_class for one in verdict.findings]


ROOM = {"settings": Settings(retry_factor=100)}


@pytest.mark.parametrize(
    ("wire", "found"),
    [
        (attempts(ASKED, LINK, *PAUSED), []),
        (attempts(ASKED, LINK, *PAUSED, 1200), ["too-many-attempts"]),
        (attempts(ASKED, LINK, *PAUSED, 1200, status="aborted"), ["too-many-attempts"]),  # cut by the proxy: an attempt
        (attempts(ASKED, LINK, 100, 102), []),  # two at once are no storm
        (attempts(ASKED, LINK, 100, 102, 104), ["no-pause"]),
        (attempts(ASKED, LINK, 100, 102, 104, status="aborted"), ["no-pause"]),
        (attempts(ASKED, LINK, 100, 102, 113), []),  # a pause somewhere: 10 ms after an answer
        (attempts(ASKED, LINK, 100, 102, 104, took_ms=50), []),  # hedged: they did not wait for answers
        (attempts(ASKED, LINK, 100, 200, status="404"), ["retried-for-nothing"]),
        (attempts(ASKED, LINK, 100, 200, status="422"), ["retried-for-nothing"]),
        (attempts(ASKED, LINK, 100, 200, status="408"), []),
        (attempts(ASKED, LINK, 100, 200, status="425"), []),
        (attempts(ASKED, LINK, 100, 200, status="429"), []),
        (attempts(ASKED, LINK, 100, 200, status="500"), []),
        (attempts(ASKED, LINK, 100, 120, status="404", took_ms=50), []),  # the second left before the answer came
        (attempts(ASKED, LINK, 100, 1101, status="429", retry_after_s=1.0), []),
        (attempts(ASKED, LINK, 100, 1097, status="429", retry_after_s=1.0), []),  # whole milliseconds
        (attempts(ASKED, LINK, 100, 900, status="429", retry_after_s=1.0), ["retry-after-ignored"]),
        (attempts(ASKED, LINK, 100, 900, status="503", retry_after_s=1.0), ["retry-after-ignored"]),
        (attempts(ASKED, LINK, 100, 900, status="200", retry_after_s=1.0), []),
        (attempts(ASKED, LINK, 100, 102, 104, status="200"), []),  # asked again after a good answer: no retry
        (attempts(ASKED, LINK, *PAUSED, 1200, status="200"), []),
        (attempts(ASKED, LINK, 100, 102, 104, 106, 108, 110, status="202", took_ms=50), []),  # all at once, all well
        (attempts(ASKED, LINK, 100, 102, 104, status="304"), []),
    ],
)
def test_attempts_at_one_thing(wire: tuple[WireRecord, ...], found: list[str]) -> None:
    """The cap is five; all of them on the proxy's clock."""
    verdict = bound(wire, **ROOM)
    assert classes(verdict) == found
    assert verdict.verdict is (Verdict.VIOLATED if found else Verdict.HOLDS)


def told(*statuses: str, every_ms: float = 20, took_ms: float = 1, **fields: object) -> list[str]:
    """Classes of what is found where the same thing is sent again and again, and ends like this."""
    wire = [
        row
        for i, status in enumerate(statuses)
        for row in attempts(ASKED, LINK, 100 + every_ms * i, status=status, took_ms=took_ms, **fields)
    ]
    return classes(bound(wire, **ROOM))


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        (["202", "202", "200"], []),  # polled
        (["503", "200"] * 4, []),  # each failed once, and was tried again once
        (["503", "503", "200", "503", "503", "503", "200"], []),  # three, then four
        (["200", *["503"] * 5], []),
        (["200", *["503"] * 6], ["too-many-attempts"]),
        (["aborted"] * 5 + ["200"], ["too-many-attempts"]),
        (["dropped"] * 5 + ["200"], ["too-many-attempts"]),
    ],
)
def test_attempts_are_counted_from_the_last_good_answer(statuses: list[str], found: list[str]) -> None:
    """The last attempt of a row may be the one that succeeds."""
    assert told(*statuses) == found


def test_a_pause_counts_between_attempts_only() -> None:
    """Two quick attempts after a good answer are two, not three."""
    assert told("200", "503", "503", every_ms=2) == []
    assert told("503", "503", "200", every_ms=2) == ["no-pause"]


@pytest.mark.parametrize(("kind", "found"), [("malform", ["too-many-attempts"]), ("latency", [])])
def test_a_good_status_may_hide_a_spoilt_answer(kind: str, found: list[str]) -> None:
    """Who could not read an answer tries again; who got it late does not."""
    hit, load = operation(22.05, took_ms=1900), steady_load(20, 26)
    again = attempts(hit, LINK, *PAUSED, 1200, status="200", faults=("broken",))
    evidence = run(plan(fault(kind), **ROOM), *LOAD, *load, hit, wire=(*trails((*LOAD, *load, hit)), *again))
    assert classes(judged(evidence, "retry-bound/broken/rag")) == found


def test_a_finding_shows_the_attempts() -> None:
    """Who, what, where, and each attempt with its answer."""
    (finding,) = bound(attempts(ASKED, LINK, 100, 900, status="429", retry_after_s=1.0), **ROOM).findings
    assert finding.cause == "gateway sent POST /again to provider again before the Retry-After of a 429 was over"
    assert (finding.expected, finding.seen) == ("no attempt before 1s are over", "another one after 799ms")
    assert (finding.link, finding.where) == (LINK, "logs of gateway; link gateway>provider")
    assert finding.evidence[1:3] == (
        "+100ms gateway>provider POST /again: 429 at +101ms, Retry-After 1s",
        "+900ms gateway>provider POST /again: 429 at +901ms, Retry-After 1s",
    )


def test_other_bodies_are_other_things() -> None:
    """An agent asks the model many times, each time something else."""
    wire = [row for i in range(8) for row in attempts(ASKED, LINK, 100 + i * 20, status="200", digest=f"{i}.9")]
    assert bound(wire, **ROOM).verdict is Verdict.HOLDS


def test_an_idempotency_key_makes_one_thing_of_other_bodies() -> None:
    """It stands in the request already."""
    rows = [row for i in range(6) for row in attempts(ASKED, LINK, 100 + i * 200, digest=f"{i}.9")]
    assert classes(bound(changed(rows, lambda _: True, digest="key-1"), **ROOM)) == ["too-many-attempts"]


def test_what_comes_again_from_above_may_be_tried_again_below() -> None:
    """Three times from rag, three attempts each: nobody made more than the cap."""
    again = attempts(ASKED, "rag>gateway", 99, 499, 1099, took_ms=300)
    below = [row for at in (100, 500, 1100) for row in attempts(ASKED, LINK, at, at + 50, at + 150)]
    assert bound((*again, *below), **ROOM).verdict is Verdict.HOLDS
    assert classes(bound(below, **ROOM)) == ["too-many-attempts"]


def test_two_at_work_on_the_same_delivery_cannot_be_told_apart() -> None:
    """It was delivered twice at once: an attempt after the other's refusal is no mistake, and both have their cap."""
    twice = attempts(ASKED, "rag>gateway", 90, 95, took_ms=1500)
    below = attempts(ASKED, LINK, 100, 101.5, 103, 104.5, status="404")
    assert bound((*twice, *below), **ROOM).verdict is Verdict.HOLDS
    many = attempts(ASKED, LINK, *range(100, 1200, 100))
    assert classes(bound((*twice, *many), **ROOM)) == ["too-many-attempts"]


def test_bodies_that_were_cut_off_leave_doubt() -> None:
    """Three attempts that could be told, four that broke off in the middle: they may have been attempts at the same."""
    told = attempts(ASKED, LINK, 100, 200, 400)
    cut = attempts(ASKED, LINK, 500, 600, 700, 800, status="aborted", digest="")
    verdict = bound((*told, *cut), **ROOM)
    assert (verdict.violated, verdict.undecided) == (0, 1)
    assert bound((*told, *cut[:2]), **ROOM).undecided == 0
    assert bound(cut + attempts(ASKED, LINK, 900, 1000, status="aborted", digest=""), **ROOM).undecided == 1


def test_requests_without_a_body_are_only_counted_together() -> None:
    """Ten documents read look like one read ten times."""
    reads = attempts(ASKED, LINK, *range(100, 1100, 100), status="200", digest="")
    assert bound(reads, **ROOM).verdict is Verdict.HOLDS
    assert classes(bound(reads, settings=Settings(retry_factor=3))) == ["retry-storm"]


def test_a_storm_is_more_than_so_many_times_the_baseline() -> None:
    """A question needs three messages of services: nine are allowed, the tenth is not."""
    wire = [row for i in range(7) for row in attempts(ASKED, LINK, 100 + i * 20, status="200", digest=f"{i}.9")]
    assert bound(wire[:12]).verdict is Verdict.HOLDS
    (finding,) = bound(wire).findings
    assert finding.cause == f"rag.ask caused many times the messages it usually needs, most of them on {LINK}"
    assert finding.expected == "at most 9 messages: the baseline needs 3"
    assert finding.seen == "10 messages: 8 on gateway>provider, 1 on api>rag, 1 on rag>gateway"


def test_one_thing_attempted_as_often_as_it_may_be_is_no_storm() -> None:
    """A chat needs one message of the gateway: five attempts are five times the baseline, and allowed."""
    what = plan(fault(), workloads=("gateway",))
    load = steady_load(10, 20, workload="gateway", name="chat")
    asked = operation(27.05, workload="gateway", name="chat", took_ms=1900)
    for times_ms, found in ((PAUSED[:4], []), (PAUSED, ["retry-storm"])):
        wire = [row for i, at in enumerate(times_ms) for row in attempts(asked, LINK, at, digest=f"{i % 2}.9")]
        evidence = run(what, *load, asked, wire=(*trails((*load, asked)), *wire))
        assert classes(judged(evidence, "retry-bound/none/gateway")) == found


def test_caps_can_be_declared_for_an_operation() -> None:
    """What is left out stays as in the settings."""
    wire = attempts(ASKED, LINK, *PAUSED, 1200)
    assert bound(wire, retries={"ask": RetryCaps(attempts=6)}).verdict is Verdict.HOLDS
    assert classes(bound(wire, retries={"ask": RetryCaps(factor=2.5)})) == ["too-many-attempts"]
    assert classes(bound(wire, retries={"ask": RetryCaps(attempts=6, factor=2.5)})) == ["retry-storm"]
    assert classes(bound(wire, settings=Settings(retry_attempts=6, retry_factor=2))) == ["retry-storm"]


def test_the_drivers_own_messages_are_not_judged() -> None:
    """It never tries again; what it sends is no service's."""
    wire = attempts(ASKED, "driver>api", *range(100, 1100, 100), status="404")
    assert bound(wire).verdict is Verdict.HOLDS


def test_an_operation_without_an_answer_is_judged_like_any_other() -> None:
    """Its attempts are on the wire."""
    asked = operation(22.05, NO_ANSWER)
    load = (*LOAD, *steady_load(20, 26))
    wire = (*trails((*load, asked)), *attempts(asked, LINK, *PAUSED, 1200))
    verdict = judged(run(plan(fault("latency"), **ROOM), *load, asked, wire=wire), "retry-bound/broken/rag")
    assert classes(verdict) == ["too-many-attempts"]
