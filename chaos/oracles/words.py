"""Sentences for people: what was answered, by whom, and what a fault did meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.fault import Phase
from chaos.model.link import Link, Protocol
from chaos.model.operation import Answer, AnswerKind, Operation
from chaos.model.wire_record import WireRecord
from chaos.oracles.between import broker_of
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, Concern
from chaos.oracles.text import clip

__all__ = ["answer_text", "blamed_link", "meanwhile", "record_text", "speaker", "where_to_look"]

_ABORTED = "aborted"
_GATEWAY_STATUSES = frozenset({"502", "503", "504"})
_DID = {
    "latency": "was slow",
    "bandwidth": "sent slowly",
    "slow_close": "closed its connections late",
    "timeout": "went silent",
    "reset_peer": "reset connections",
    "slicer": "answered in small pieces",
    "limit_data": "was cut off in the middle",
    "refuse": "refused connections",
    "hang": "said nothing",
    "reset": "reset connections",
    "accept_close": "closed new connections",
    "blackhole": "was not heard",
    "loss": "lost packets",
    "corrupt": "was garbled",
    "hold": "was late with single messages",
    "malform": "sent what cannot be read",
    "truncate": "broke off in the middle of a message",
    "duplicate": "got messages twice",
}
_DID_AT = {
    ("cut", Phase.CONNECT): "cut new connections",
    ("cut", Phase.BEFORE): "was cut off before {what} reached it",
    ("cut", Phase.AFTER): "was cut off after {what}, before its answer",
    ("cut", Phase.DURING): "was cut off in the middle of its answer",
    ("drop", Phase.CONNECT): "said nothing on new connections",
    ("drop", Phase.BEFORE): "did not get {what}",
    ("drop", Phase.AFTER): "lost its answer to {what}",
    ("drop", Phase.DURING): "fell silent in the middle of its answer",
}


def answer_text(answer: Answer) -> str:
    """`500 internal without naming a dependency`, `504 dependency_timeout naming provider`, `no answer`."""
    if answer.kind is AnswerKind.OK:
        return f"ok {answer.status}" if answer.status else "ok"
    if answer.kind is AnswerKind.ACCEPTED:
        return "accepted, never completed"
    if answer.kind is AnswerKind.NONE:
        return "no answer"
    if answer.layer == "driver":
        return f"no answer but {clip(answer.code or 'a failure', 40)} at the driver"
    words = [str(answer.status) if answer.status else "an error without a status"]
    if answer.code:
        words.append(clip(answer.code, 40))
    words.append(f"naming {clip(answer.dependency, 40)}" if answer.dependency else "without naming a dependency")
    return " ".join(words)


def speaker(case: Case, operation: Operation) -> str:
    """Who answered, as the subject of a sentence: `api answered`, or `over nats came`."""
    broker = broker_of(operation.route, case.links)
    if broker:
        return f"over {broker} came"
    front = case.links.get(operation.route[0]) if operation.route else None
    return f"{front.callee} answered" if front else "the system answered"


def meanwhile(case: Case, concerns: Iterable[Concern], fault: str | None) -> str:
    """` while provider refused connections`: the cell's fault first, others that concern the operation after it."""
    ordered = sorted(concerns, key=lambda one: (one.fault != fault, not one.hit))
    did = dict.fromkeys(_did(case, one) for one in ordered)
    if not did:
        return " with no fault near"
    return " while " + " and ".join(list(did)[:3])


def _did(case: Case, concern: Concern) -> str:
    callee, fault = _callee(case.links.get(concern.link), concern.link), case.faults.get(concern.fault)
    if fault is None:
        return f"{callee} was under {concern.fault}"
    if fault.kind == "error":
        return f"{callee} answered {fault.answer}"
    known = _DID_AT.get((fault.kind, fault.moment[0])) or _DID.get(fault.kind, f"was under {fault.kind}")
    return f"{callee} {known.format(what=fault.operation or 'messages')}"


def _callee(link: Link | None, name: str) -> str:
    return link.callee if link else name


def blamed_link(operation: Operation, concerns: Iterable[Concern], fault: str | None) -> str | None:
    """The link of the cell's fault that was hit, else the one deepest on the operation's route."""
    own = [one for one in concerns if one.fault == fault]
    if not own:
        return None
    places = {name: place for place, name in enumerate(operation.route)}
    return max(own, key=lambda one: (one.hit, places.get(one.link, -1))).link


def _turning_point(case: Case, operation: Operation) -> str | None:
    """The service that made something else of an error from below: its last answer from there failed, what it answered is no such failure.

    Known where the wire shows both sides. Of several it is the one nearest to the caller: a stream that was cut below had to begin with
    200, and who made the final answer of it comes later.
    """
    last: dict[str, str] = {}
    for one in case.story(operation):
        if one.kind == "reply" and one.status:
            last.pop(one.link, None)  # the order is that of the last replies
            last[one.link] = one.status
    for name, status in reversed(last.items()):
        service = case.links[name].callee if name in case.links else ""
        below = [last[each] for each in last if each in case.links and case.links[each].caller == service]
        if any(_failed(each) for each in below) and not _passed_on(status, below):
            return service
    return None


def _failed(status: str) -> bool:
    return status == _ABORTED or status[:1] == "5"


def _passed_on(status: str, below: list[str]) -> bool:
    """An error from below is kept as it is, and a cut becomes one of the gateway statuses."""
    return status == _ABORTED or status in below or (_ABORTED in below and status in _GATEWAY_STATUSES)


def where_to_look(case: Case, operation: Operation, link: str | None) -> str:
    """The services whose logs tell more: who turned the error into another, else the caller on the faulted link and the one that answered."""
    turned = _turning_point(case, operation)
    if turned is not None:
        return f"logs of {turned}; link {link}" if link else f"logs of {turned}"
    names = []
    if link is not None and link in case.links:
        names.append(case.links[link].caller)
    front = case.links.get(operation.route[0]) if operation.route else None
    if front is not None and front.protocol is Protocol.HTTP:
        names.append(front.callee)
    elif link is None and len(operation.route) > 1 and operation.route[1] in case.links:
        names.append(case.links[operation.route[1]].caller)
    services = [name for name in dict.fromkeys(names) if name != "driver"]
    logs = f"logs of {' and '.join(services)}" if services else "the driver's log"
    return f"{logs}; link {link}" if link else logs


def record_text(record: WireRecord, since_ns: int) -> str:
    """One line for a wire record, timed from the operation's start."""
    at_ms = (record.t_ns - since_ns) / NS_PER_MS
    what = record.signature if record.kind == "request" else f"{record.kind} {record.status}".strip()
    budget = f" budget {record.budget_ms:.0f}ms" if record.kind == "request" and record.budget_ms is not None else ""
    faults = f" [{', '.join(record.faults)}]" if record.faults else ""
    return f"{at_ms:+.0f}ms {record.link} {what}{budget}{faults}"
