"""Plain HTTP operations against real servers: what is sent, what counts as ok, as an error, and as wrong content."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from chaos.model.operation import AnswerKind, EffectState, Operation
from tests.workloads.plain_rig import flying
from tests.workloads.stand_in import Asked, Handler, Replied, problem, stand_in

PLACE = """
- kind: http
  to: orders
  rate: 5/s
  operations:
    place:
      request: POST /orders/{op_id}?of={workload}
      headers: {Idempotency-Key: "{op_id}", X-Index: "{index}", X-Blanks: " {workload} "}
      json: {id: "{op_id}", amount: "{int:1-9}", colour: "{choice:red|green}", note: "n {nonce}"}
      expect: {status: 201, json: {order.id: "{op_id}", order.amount: "{int:1-9}", order.lines.0.n: 1}, contains: "{choice:red|green}"}
      degraded: '/^x-degraded: yes|"cached"/'
    look: {request: GET /orders/1}
    gone: {request: DELETE /orders/1, expect: {status: [404, 410]}}
    raw: {request: PUT /raw, body: "<o id='{op_id}'/>{{}}"}
    stream: {request: GET /stream, expect: {ends_with: "data: [DONE]"}}
"""


def placed(asked: Asked) -> Replied:
    """The right answer to `place`, made from what was asked."""
    order = msgspec.json.decode(asked.body) if asked.body else {}
    body = {"order": {**order, "lines": [{"n": 1}]}}
    return Replied(status=201, body=msgspec.json.encode(body))


def instead(**changes: object) -> Handler:
    """The right answer but for some members of the order."""

    def handler(asked: Asked) -> Replied:
        reply = placed(asked)
        body = msgspec.json.decode(reply.body)
        body["order"].update(changes)
        return Replied(status=201, body=msgspec.json.encode(body))

    return handler


async def ask(name: str, handler: Handler, workloads: str = PLACE) -> tuple[Operation, Asked]:
    """Fly one operation to a server that answers so; its record, and what the server saw."""
    async with stand_in() as backend, flying(workloads, {"orders": backend.url}) as flyer:
        backend.handler = handler
        operation = await flyer.fly(name)
        return operation, backend.asked[0]


async def test_what_is_sent_is_what_the_scenario_says() -> None:
    """Method, path, headers and body are filled in for the operation; trace context, baggage and budget come along."""
    operation, asked = await ask("place", placed)
    assert (operation.answer.kind, operation.unmet, operation.effect) == (AnswerKind.OK, (), EffectState.APPLIED)
    assert (asked.method, asked.path) == ("POST", f"/orders/{operation.op_id}?of=http")
    body = msgspec.json.decode(asked.body)
    assert body["id"] == operation.op_id
    assert body["amount"] in range(1, 10)
    assert body["colour"] in {"red", "green"}
    assert re.fullmatch(r"n nonce-[0-9a-f]{16}", body["note"])
    assert asked.headers["traceparent"].split("-")[1] == operation.trace_id
    assert asked.headers["baggage"] == f"op.id={operation.op_id}"
    assert asked.headers["x-budget-ms"] == "2000"
    assert (asked.headers["idempotency-key"], asked.headers["x-index"]) == (operation.op_id, "0")
    assert asked.headers["x-blanks"] == "http"
    assert asked.headers["content-type"] == "application/json"
    assert (operation.route, operation.tenant) == (("driver>orders", "orders>db"), None)


async def test_a_text_body_and_a_bare_request() -> None:
    """Text is sent as text, braces unescaped; a GET sends no body and no length."""
    operation, asked = await ask("raw", lambda _: Replied(body=b"fine", content_type="text/plain"))
    assert asked.body.decode() == f"<o id='{operation.op_id}'/>{{}}"
    assert asked.headers["content-type"] == "text/plain; charset=utf-8"
    operation, asked = await ask("look", lambda _: Replied(body=b"{}"))
    assert (operation.answer.kind, operation.effect) == (AnswerKind.OK, EffectState.READ)
    assert (asked.method, asked.body) == ("GET", b"")
    assert "content-length" not in asked.headers


@pytest.mark.parametrize(("header", "name"), [("X-Request-Timeout-Ms", "x-request-timeout-ms"), ("false", None)])
async def test_the_budget_header_is_the_scenarios(header: str, name: str | None) -> None:
    """A scenario names the header of its system, or says that there is none."""
    look = "- {kind: http, to: orders, rate: 9/s, deadline: 1.5s, operations: {look: {request: GET /}}}"
    async with (
        stand_in() as backend,
        flying(look, {"orders": backend.url}, more=f"budget_header: {header}\n") as flyer,
    ):
        await flyer.fly("look")
        sent = backend.asked[0].headers
    assert "x-budget-ms" not in sent
    assert {key: value for key, value in sent.items() if value == "1500"} == ({name: "1500"} if name else {})


async def test_drawn_values_are_functions_of_the_operation() -> None:
    """The same operation says the same on every night; others say something else now and then."""
    bodies = []
    for _ in range(2):
        async with stand_in() as backend, flying(PLACE, {"orders": backend.url}) as flyer:
            backend.handler = placed
            for _ in range(12):
                await flyer.fly("place")
            bodies.append([one.body for one in backend.asked])
    assert bodies[0] == bodies[1]
    assert len({msgspec.json.decode(one)["amount"] for one in bodies[0]}) > 1
    assert {msgspec.json.decode(one)["colour"] for one in bodies[0]} == {"red", "green"}


@pytest.mark.parametrize(
    ("handler", "check", "seen"),
    [
        (instead(id="another"), "json", '"another"'),
        (instead(amount=0), "json", "0"),
        (instead(amount=True), "json", "true"),
        (instead(lines=[]), "json", 'no order.lines.0.n in {"order":'),
        (instead(colour="blue"), "contains", '{"order":'),
        (lambda _: Replied(status=201, body=b"thanks"), "body", "thanks"),
        (lambda asked: Replied(status=200, body=placed(asked).body), "status", "200"),
        (lambda _: Replied(status=201, body=b"{}", content_type="application/problem+json"), "error-body", "{}"),
    ],
)
async def test_wrong_content_is_named(handler: Handler, check: str, seen: str) -> None:
    """An ok answer that is not as declared says which declaration it does not meet, and what was there instead."""
    operation, _ = await ask("place", handler)
    assert operation.answer.kind is AnswerKind.OK
    found = {one.check: one.seen for one in operation.unmet}
    assert found[check].startswith(seen)


async def test_numbers_may_come_as_text_or_as_floats() -> None:
    """A drawn number is met by its text and by an equal float."""

    def as_text(asked: Asked) -> Replied:
        return instead(amount=str(msgspec.json.decode(asked.body)["amount"]))(asked)

    def as_float(asked: Asked) -> Replied:
        return instead(amount=float(msgspec.json.decode(asked.body)["amount"]))(asked)

    assert (await ask("place", as_text))[0].unmet == ()
    assert (await ask("place", as_float))[0].unmet == ()


@pytest.mark.parametrize(
    "reply",
    [
        Replied(status=201, body=b"{}", headers={"X-Degraded": "yes"}),
        Replied(status=201, body=b'{"from": "cached"}'),
    ],
)
async def test_a_degraded_answer_owes_no_content(reply: Replied) -> None:
    """The declared pattern in headers or body marks it."""
    operation, _ = await ask("place", lambda _: reply)
    assert operation.answer.degraded
    assert operation.unmet == ()


async def test_an_ok_answer_in_the_dress_of_errors_is_told_what_gave_it_away() -> None:
    """Its content type, not its content: to declare the content would not mend it."""
    operation, _ = await ask("look", lambda _: Replied(body=b'{"n": 1}', content_type="application/problem+json"))
    (unmet,) = operation.unmet
    assert unmet.check == "error-body"
    assert "content type is not application/problem+json" in unmet.expected


async def test_an_error_under_ok_is_found_without_a_declaration() -> None:
    """A 200 that says error is wrong where no content is declared, and nobody's business where the declared content is there."""
    hidden = Replied(body=b'{"error": "database is gone", "state": "failed"}')
    operation, _ = await ask("look", lambda _: hidden)
    assert [one.check for one in operation.unmet] == ["error-body"]
    declared = (
        "- {kind: http, to: orders, rate: 9/s, operations: {look: {request: GET /, expect: {json: {state: failed}}}}}"
    )
    operation, _ = await ask("look", lambda _: hidden, declared)
    assert operation.unmet == ()
    operation, _ = await ask("look", lambda _: Replied(body=b'{"error": null, "errors": []}'))
    assert operation.unmet == ()


async def test_statuses_decide_what_is_an_error() -> None:
    """Problem details are read where there are any; a declared status is ok whatever it is; redirects are not followed."""
    operation, _ = await ask(
        "place", lambda _: problem(503, "dependency_unavailable", "db", detail="no pool", retryable=True)
    )
    answer = operation.answer
    assert (answer.kind, answer.status, answer.code) == (AnswerKind.ERROR, 503, "dependency_unavailable")
    assert (answer.dependency, answer.detail, operation.effect) == ("db", "no pool", EffectState.UNKNOWN)
    operation, _ = await ask(
        "look", lambda _: Replied(status=429, body=b"later", content_type="text/plain", headers={"Retry-After": "2"})
    )
    assert (operation.answer.status, operation.answer.detail, operation.answer.retry_after_s) == (429, "later", 2.0)
    operation, _ = await ask("gone", lambda _: Replied(status=404, body=b"gone"))
    assert (operation.answer.kind, operation.answer.status, operation.unmet) == (AnswerKind.OK, 404, ())
    operation, _ = await ask("gone", lambda _: Replied(status=422, body=b"no"))
    assert (operation.answer.kind, operation.effect) == (AnswerKind.ERROR, EffectState.NOT_APPLIED)
    operation, _ = await ask("look", lambda _: Replied(status=302, headers={"Location": "/elsewhere"}))
    assert (operation.answer.kind, operation.answer.status) == (AnswerKind.ERROR, 302)


CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: one\r\n2\r\n\n\n\r\n"
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def test_a_stream_ends_with_its_marker() -> None:
    """The marker may be followed by blank lines; without it the answer is not complete, and a cut stream is no answer."""
    operation, _ = await ask("stream", lambda _: Replied(raw=CHUNKED + DONE))
    assert (operation.answer.kind, operation.unmet) == (AnswerKind.OK, ())
    assert 0 < operation.first_byte_ns <= operation.end_ns
    operation, _ = await ask("stream", lambda _: Replied(raw=CHUNKED + b"0\r\n\r\n"))
    assert [(one.check, one.seen) for one in operation.unmet] == [("terminal-marker", "data: one")]
    operation, _ = await ask("stream", lambda _: Replied(raw=CHUNKED))
    assert (operation.answer.kind, operation.answer.layer, operation.answer.code) == (
        AnswerKind.ERROR,
        "driver",
        "closed",
    )


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "closed"),
        (b"220 mail.example ESMTP\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "protocol"),
    ],
)
async def test_failures_at_the_driver_are_named(raw: bytes, code: str) -> None:
    """What is no whole HTTP answer is a failure with a name, and nothing is known of its effect."""
    operation, _ = await ask("place", lambda _: Replied(raw=raw))
    assert (operation.answer.layer, operation.answer.code, operation.effect) == ("driver", code, EffectState.UNKNOWN)
    assert operation.end_ns > 0


async def test_a_body_may_end_with_the_connection() -> None:
    """HTTP/1.0: no length, the end is the end."""
    operation, _ = await ask("look", lambda _: Replied(raw=b"HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nhello"))
    assert operation.answer.kind is AnswerKind.OK


async def test_nobody_there_means_nothing_was_done() -> None:
    """A refused connection is the one failure that proves that nothing happened."""
    async with stand_in() as backend:
        url = backend.url
    async with flying(PLACE, {"orders": url}) as flyer:
        operation = await flyer.fly("place")
    assert (operation.answer.code, operation.effect) == ("connect-refused", EffectState.NOT_APPLIED)


async def test_a_reset_in_flight_is_named() -> None:
    """RST while the answer is awaited."""
    async with stand_in() as backend, flying(PLACE, {"orders": backend.url}) as flyer:
        backend.gate.clear()
        flight = asyncio.ensure_future(flyer.fly("place"))
        await backend.until_asked()
        backend.reset()
        operation = await flight
    assert (operation.answer.code, operation.effect) == ("connection-reset", EffectState.UNKNOWN)


async def test_silence_is_no_answer() -> None:
    """After D + 2 s the driver goes, and closes the connection that it waited on."""
    slow = "- {kind: http, to: orders, rate: 9/s, deadline: 20ms, operations: {look: {request: GET /}}}"
    async with stand_in() as backend, flying(slow, {"orders": backend.url}) as flyer:
        backend.gate.clear()
        operation = await flyer.fly("look")
        assert (operation.answer.kind, operation.end_ns) == (AnswerKind.NONE, 0)
        backend.gate.set()
        backend.handler = lambda _: Replied(body=b"{}")
        assert (await flyer.fly("look")).ok
        assert backend.connections == 2


async def test_connections_are_kept_and_dead_ones_are_not_used() -> None:
    """Answers that ended well leave their connection for the next; one that the server closed meanwhile is not tried."""
    async with stand_in() as backend, flying(PLACE, {"orders": backend.url}) as flyer:
        backend.handler = lambda _: Replied(body=b"{}")
        for _ in range(3):
            assert (await flyer.fly("look")).ok
        assert backend.connections == 1
        backend.reset()
        await flyer.until_idle_wires_ended("http", "orders")
        assert (await flyer.fly("look")).ok
        assert backend.connections == 2


async def test_a_head_request_has_no_body() -> None:
    """HEAD announces a length that does not come."""
    head = "- {kind: http, to: orders, rate: 9/s, operations: {look: {request: HEAD /}}}"
    operation, asked = await ask("look", lambda _: Replied(body=b"", headers={"x": "y"}), head)
    assert asked.method == "HEAD"
    assert operation.ok


async def test_a_path_is_encoded_where_it_must_be() -> None:
    """Spaces and letters beyond ASCII are escaped, what is escaped already and what separates stays."""
    path = (
        "- {kind: http, to: orders, rate: 9/s, operations: {look: {request: 'GET /a%20b/ü?q={choice:x y|x z}&r=1,2'}}}"
    )
    _, asked = await ask("look", lambda _: Replied(body=b"{}"), path)
    assert re.fullmatch(r"/a%20b/%C3%BC\?q=x%20[yz]&r=1,2", asked.path)


async def test_an_endless_answer_is_given_up() -> None:
    """More than an answer may hold is a failure, not a driver without memory."""
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n" + b"x" * (9 * 1024 * 1024)
    operation, _ = await ask("look", lambda _: Replied(raw=endless))
    assert (operation.answer.code, operation.answer.detail) == ("protocol", "an answer of more than 8388608 bytes")


async def test_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text asks for is filled in when it is sent; neither plan nor operation holds it."""
    monkeypatch.setenv("SHOP_TOKEN", "a-token-of-ours")
    text = """
    - kind: http
      to: orders
      rate: 9/s
      operations:
        look: {request: POST /, headers: {Authorization: "Bearer ${SHOP_TOKEN}"}, json: {k: "${SHOP_TOKEN}", plain: "${{SHOP_TOKEN}}"}}
    """
    async with stand_in() as backend, flying(text, {"orders": backend.url}) as flyer:
        backend.handler = lambda _: Replied(status=200, body=b"{}")
        operation = await flyer.fly("look")
        asked = backend.asked[0]
        assert "a-token" not in repr(flyer.plan)
        assert b"a-token" not in msgspec.json.encode(flyer.plan.workloads)
    assert operation.ok
    assert asked.headers["authorization"] == "Bearer a-token-of-ours"
    assert msgspec.json.decode(asked.body) == {"k": "a-token-of-ours", "plain": "${SHOP_TOKEN}"}
