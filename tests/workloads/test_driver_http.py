"""HTTP operations against a real server: right answers pass every check, wrong ones name the check, failures name the layer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from chaos.model.operation import Answer, AnswerKind
from chaos.workloads import Endpoints
from chaos.workloads.call import Call, Outcome, new_call
from chaos.workloads.checks import Checks
from chaos.workloads.corpus import Corpus
from chaos.workloads.http_door import HttpDoor, open_http
from chaos.workloads.identity import answer_digest
from chaos.workloads.operations import RUNNERS, Doors
from tests.listening import listening, reset
from tests.workloads.rig import KEY
from tests.workloads.stand_in import Asked, Handler, Replied, digests, envelope, problem, stand_in

CORPUS = Corpus.of("run-1", 7)
CALL = new_call(7, "op-1", 2000.0, CORPUS)
DOCUMENT = CALL.document
OTHER = CORPUS.others(CALL.tenant)[0]


def fresh_call() -> Call:
    """The same operation again, with no times noted."""
    return new_call(7, "op-1", 2000.0, CORPUS)


def doors_at(http: HttpDoor, url: str) -> Doors:
    """Both HTTP doors at one URL."""
    return Doors(http=http, endpoints=Endpoints(api=url, gateway=url), checks=Checks(key=KEY.encode(), corpus=CORPUS))


async def ask(kind: str, name: str, handler: Handler) -> tuple[Outcome, Asked]:
    """Send one operation to a server that answers so; the outcome, and what was asked."""
    async with stand_in() as backend, open_http(4) as http:
        backend.handler = handler
        outcome = await asyncio.wait_for(RUNNERS[kind, name](fresh_call(), doors_at(http, backend.url)), 20)
        return outcome, backend.asked[0]


def digest(nonce: str) -> str:
    """The right digest."""
    return answer_digest(KEY.encode(), nonce)


def answer(**changes: object) -> Replied:
    """The right answer to `ask`, but for the changes."""
    data = {
        "text": f"{digest(CALL.nonce)} {digest(DOCUMENT.nonce)}",
        "sources": [{"doc_id": DOCUMENT.doc_id, "title": "t", "score": 0.9}],
        "tenant": CALL.tenant,
        "model": "ref-chat",
    }
    return envelope("answer", **{**data, **changes})


def result(**changes: object) -> Replied:
    """The right answer to `run`, but for the changes."""
    data = {
        **msgspec.json.decode(answer().body)["data"],
        "task_id": "t",
        "tools": [{"name": "search_documents", "ok": True}],
    }
    return envelope("task.result", **{**data, **changes})


def stored(**changes: object) -> Replied:
    """The right answer to `ingest`, but for the changes."""
    return envelope("document.ingested", **{"doc_id": "doc-op-1", "chunks": 1, "dimension": 64, **changes})


def chat(text: str | None = None, **members: object) -> Replied:
    """A chat completion with that text, or the right one."""
    content = digest(CALL.nonce) if text is None else text
    return Replied(body=msgspec.json.encode({"choices": [{"message": {"content": content}}], **members}))


def events(*lines: str) -> Replied:
    """A body of server-sent events."""
    return Replied(body="".join(f"{line}\n\n" for line in lines).encode(), content_type="text/event-stream")


def delta(text: str) -> str:
    """A chunk of a streamed completion."""
    return "data: " + msgspec.json.encode({"choices": [{"delta": {"content": text}}]}).decode()


FAILED = 'event: error\ndata: {"title": "t", "status": 504, "code": "dependency_timeout", "dependency": "provider"}'
RIGHT = [
    ("rag", "ask", answer()),
    ("rag", "ask", answer(text="sorry", sources=[], degraded=True)),
    ("rag", "ingest", stored()),
    ("agent", "run", result()),
    ("agent", "run", result(text="", sources=[], tools=[], degraded=True)),
    ("gateway", "chat", chat()),
    ("gateway", "stream", events(delta(digest(CALL.nonce)[:9]), delta(digest(CALL.nonce)[9:]), "data: [DONE]")),
    ("gateway", "embed", Replied(body=msgspec.json.encode({"data": [{"embedding": [0.0] * 64}]}))),
]
WRONG = [
    ("rag", "ask", answer(text=""), ["text"]),
    ("rag", "ask", answer(text=f"{CALL.nonce} {digest(DOCUMENT.nonce)}"), ["input-digest"]),
    ("rag", "ask", answer(text=digest(CALL.nonce)), ["document-digest"]),
    ("rag", "ask", answer(sources=[]), ["sources"]),
    ("rag", "ask", answer(tenant=OTHER.tenant), ["tenant"]),
    ("rag", "ask", answer(sources=[{"doc_id": DOCUMENT.doc_id}, {"doc_id": OTHER.doc_id}]), ["tenant"]),
    ("rag", "ask", answer(text=f"{digest(CALL.nonce)} {digest(DOCUMENT.nonce)} {digest(OTHER.nonce)}"), ["tenant"]),
    ("rag", "ask", answer(text="x", tenant="other", degraded=True), ["tenant"]),
    ("rag", "ask", answer(text=7), ["shape"]),
    ("rag", "ask", envelope("echo", text="x"), ["message-type"]),
    ("rag", "ask", Replied(body=b'{"schema_version": 2, "message_type": "answer", "data": {}}'), ["message-type"]),
    ("rag", "ask", Replied(body=b"[]"), ["message-type"]),
    ("rag", "ask", Replied(body=b""), ["body"]),
    ("rag", "ask", Replied(body=b"<html>"), ["body"]),
    ("rag", "ask", Replied(body=b"[" * 100_000), ["body"]),
    ("rag", "ask", Replied(body=b'{"error": "no"}'), ["error-body"]),
    ("rag", "ask", envelope("answer", error="no"), ["error-body"]),
    ("rag", "ask", envelope("problem", title="t"), ["error-body"]),
    ("rag", "ask", Replied(body=problem(503, "dependency_unavailable").body), ["error-body"]),
    ("rag", "ingest", stored(doc_id="doc-2", chunks=0, dimension=63), ["document", "chunks", "dimension"]),
    ("agent", "run", result(tools=[{"name": "search_documents", "ok": False}]), ["tool"]),
    ("agent", "run", result(text="", sources=[], tools=[]), ["text", "sources", "tool"]),
    ("gateway", "chat", chat(""), ["text"]),
    ("gateway", "chat", chat("I am a model"), ["input-digest"]),
    ("gateway", "chat", chat(error={"message": "no"}), ["error-body"]),
    ("gateway", "chat", Replied(body=b'{"choices": "none"}'), ["shape"]),
    ("gateway", "stream", events(delta(digest(CALL.nonce))), ["terminal-marker"]),
    ("gateway", "stream", events(delta(digest(CALL.nonce)), FAILED, "data: [DONE]"), ["stream-error"]),
    ("gateway", "stream", events("data: [DONE]"), ["text"]),
    ("gateway", "stream", events("data: {", "data: [DONE]"), ["body", "text"]),
    ("gateway", "stream", Replied(body=b""), ["terminal-marker", "text"]),
    ("gateway", "embed", Replied(body=msgspec.json.encode({"data": [{"embedding": [0.0] * 63}]})), ["dimension"]),
    ("gateway", "embed", Replied(body=b'{"data": []}'), ["dimension"]),
]


@pytest.mark.parametrize(("kind", "name", "reply"), RIGHT)
async def test_right_answers_meet_every_check(kind: str, name: str, reply: Replied) -> None:
    """Nothing is unmet; the declared degraded marker excuses the content but is noted."""
    outcome, asked = await ask(kind, name, lambda _: reply)
    assert (outcome.answer.kind, outcome.unmet) == (AnswerKind.OK, ())
    assert outcome.answer.degraded == (b'"degraded":true' in reply.body)
    assert asked.headers["traceparent"] == f"00-{CALL.trace_id}-{CALL.span_id}-01"
    assert asked.headers["baggage"] == "op.id=op-1"
    assert asked.headers["x-budget-ms"] == "2000"
    assert ("idempotency-key" in asked.headers) == (name in ("run", "ingest"))


@pytest.mark.parametrize(("kind", "name", "reply", "checks"), WRONG)
async def test_wrong_answers_name_the_check(kind: str, name: str, reply: Replied, checks: list[str]) -> None:
    """An ok status with the wrong content stays ok and says which declarations it did not meet."""
    outcome, _ = await ask(kind, name, lambda _: reply)
    assert outcome.answer.kind is AnswerKind.OK
    assert [one.check for one in outcome.unmet] == checks
    assert all(len(one.seen) <= 200 and one.expected for one in outcome.unmet)


async def test_the_first_byte_comes_before_the_end() -> None:
    """Both are noted, in this order, and only once."""
    async with stand_in() as backend, open_http(4) as http:
        call = fresh_call()
        await RUNNERS["gateway", "chat"](call, doors_at(http, backend.url))
    assert 0 < call.first_byte_ns <= call.ended_ns


async def test_an_echo_of_the_prompt_proves_nothing() -> None:
    """A model that repeats its input has the nonce but not its digest; one that computes the digest is right."""
    echo, _ = await ask("gateway", "chat", lambda asked: chat(asked.body.decode()))
    real, _ = await ask("gateway", "chat", lambda asked: chat(digests(asked)))
    assert [one.check for one in echo.unmet] == ["input-digest"]
    assert real.unmet == ()


async def test_a_stream_that_fails_and_says_so_is_an_error() -> None:
    """An error event without the terminal marker is an honest error with what the problem says."""
    outcome, _ = await ask("gateway", "stream", lambda _: events(delta("some"), FAILED))
    expected = Answer(kind=AnswerKind.ERROR, status=504, code="dependency_timeout", dependency="provider", detail="t")
    assert (outcome.answer, outcome.unmet) == (expected, ())


@pytest.mark.parametrize(("kind", "name"), [key for key in RUNNERS if key[1] not in ("task", "queued")])
async def test_problems_are_errors_for_every_operation(kind: str, name: str) -> None:
    """Problem details of the system come through with their code and dependency, and are not judged for content."""
    outcome, _ = await ask(kind, name, lambda _: problem(503, "dependency_unavailable", "postgres"))
    assert (outcome.answer.status, outcome.answer.dependency, outcome.answer.layer) == (503, "postgres", "system")
    assert outcome.unmet == ()


Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@asynccontextmanager
async def raw_server(reply: Raw) -> AsyncIterator[str]:
    """A server that does something to a connection after its first bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        reply(reader, writer)

    async with listening(serve) as server:
        yield f"http://{server.address}"


def abort(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """RST instead of an answer."""
    reset(writer)


def say(data: bytes) -> Raw:
    """These bytes, then FIN."""
    return lambda _, writer: writer.write(data)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (abort, "connection-reset"),
        (say(b""), "closed"),
        (say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"), "closed"),
        (say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf"), "closed"),
        (say(b"SSH-2.0-OpenSSH\r\n\r\n"), "protocol"),
        (say(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf"), "protocol"),
        (say(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + b"x" * 9_000_000), "protocol"),
    ],
)
async def test_failures_at_the_driver_name_what_the_socket_said(reply: Raw, code: str) -> None:
    """A broken connection is an error of layer `driver` with a code, no status, and the time at which it broke."""
    async with raw_server(reply) as url, open_http(4) as http:
        call = fresh_call()
        outcome = await asyncio.wait_for(RUNNERS["gateway", "chat"](call, doors_at(http, url)), 20)
    assert (outcome.answer.layer, outcome.answer.code, outcome.answer.status) == ("driver", code, None)
    assert outcome.answer.kind is AnswerKind.ERROR
    assert call.ended_ns > 0


async def test_a_refused_connect_is_told_apart() -> None:
    """Nobody listens: nothing was sent, and the code says so."""
    with socket.socket() as hold:
        hold.bind(("127.0.0.1", 0))
        async with open_http(4) as http:
            doors = doors_at(http, f"http://127.0.0.1:{hold.getsockname()[1]}")
            outcome = await RUNNERS["rag", "ingest"](fresh_call(), doors)
    assert (outcome.answer.layer, outcome.answer.code) == ("driver", "connect-refused")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and friends do not lead the load around its links."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outcome, _ = await ask("gateway", "chat", lambda _: chat())
    assert outcome.answer.kind is AnswerKind.OK
