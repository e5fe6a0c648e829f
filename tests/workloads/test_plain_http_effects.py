"""Plain HTTP operations: what an answer that the scenario calls right says about the effect."""

from __future__ import annotations

import pytest

from chaos.model.operation import AnswerKind, EffectState
from tests.workloads.plain_rig import flying
from tests.workloads.stand_in import Replied, problem, stand_in

ORDER = """
- kind: http
  to: orders
  rate: 5/s
  operations:
    order: {request: POST /orders, expect: {status: [201, 202, 303, 404, 409, 422, 500]}}
"""


@pytest.mark.parametrize(
    ("reply", "effect"),
    [
        (Replied(status=201, body=b"{}"), EffectState.APPLIED),
        (Replied(status=202, body=b"{}"), EffectState.UNKNOWN),
        (Replied(status=303, body=b"{}"), EffectState.UNKNOWN),
        (Replied(status=404, body=b"{}"), EffectState.NOT_APPLIED),
        (problem(404, "not_found", "db"), EffectState.UNKNOWN),
        (Replied(status=409, body=b"{}"), EffectState.UNKNOWN),
        (Replied(status=422, body=b"{}"), EffectState.NOT_APPLIED),
        (Replied(status=500, body=b"{}"), EffectState.UNKNOWN),
    ],
)
async def test_an_expected_status_proves_no_more_than_it_says(reply: Replied, effect: EffectState) -> None:
    """All of them are right answers; that something was stored, only a 2xx says, and a 202 only that it is to be."""
    async with stand_in() as backend, flying(ORDER, {"orders": backend.url}) as flyer:
        backend.handler = lambda _: reply
        operation = await flyer.fly("order")
    assert (operation.answer.kind, operation.answer.status, operation.unmet) == (AnswerKind.OK, reply.status, ())
    assert operation.effect is effect
    assert bool(operation.accepted_ns) == (reply.status == 202)
