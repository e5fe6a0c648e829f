"""PostgreSQL framing: what each shape of a conversation is recorded as."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.model.wire_record import WireRecord
from chaos.wire import PostgresFramer
from tests.wire.postgres_conversations import SHAPES, Brief, brief, pair, run
from tests.wire.postgres_messages import (
    CANCEL,
    GSS,
    OPENED,
    SSL,
    STARTUP,
    WELCOME,
    Step,
    done,
    failed,
    message,
    parse,
    query,
    ready,
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_shape_of_a_conversation(shape: str) -> None:
    """Every way of the protocol gives the records it should."""
    steps, expected = SHAPES[shape]
    assert brief(steps) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(">", SSL), ("<", b"S"), (">", b"\x16\x03\x01")], [*pair(1, "~ssl", "S"), ("raw", 1, "", "tls")]),
        ([(">", GSS), ("<", b"G"), (">", b"\0\0")], [*pair(1, "~ssl", "G"), ("raw", 1, "", "gssapi")]),
        ([(">", SSL), ("<", b"N"), *[(">", STARTUP)]], [*pair(1, "~ssl", "N"), *pair(2, "startup", "aborted")]),
        ([(">", SSL)], pair(1, "~ssl", "aborted")),
        ([(">", b"\x16\x03\x01")], [("raw", 0, "", "tls")]),
        ([(">", b"GET / HTTP/1.1\r\n")], [("raw", 0, "", "")]),
        ([(">", CANCEL)], [("request", 1, "cancel", "")]),
        ([(">", STARTUP), ("<", failed("28P01"))], pair(1, "startup", "28P01")),
    ],
    ids=["tls", "gssapi", "refused", "unanswered", "direct-tls", "http", "cancel", "wrong-password"],
)
def test_ways_to_begin(steps: list[Step], expected: Brief) -> None:
    """Encryption is passed on and said so, a cancel request is a connection of its own, and a refusal ends the start-up."""
    found = brief(steps, opened=False)
    assert list(dict.fromkeys(found)) == expected  # `raw` is told for each direction


def test_replies_say_bytes_pid_and_transaction_status() -> None:
    """A start-up tells the backend's pid for the bypass check, other replies whether a transaction is open."""
    answer = done("BEGIN") + ready("T")
    records = run([*OPENED, (">", query("begin")), ("<", answer)])
    startup, begin = (row for row in records if row.kind == "reply")
    assert (startup.signature, startup.status, startup.digest) == ("startup", "ok", "pid=4711")
    assert (startup.nbytes, begin.nbytes) == (len(WELCOME), len(answer))
    assert (begin.status, begin.digest, begin.direction) == ("BEGIN", "tx=T", "<")


def test_nothing_secret_is_recorded() -> None:
    """Neither passwords nor parameters, literals, rows nor notification payloads come near a record."""
    canary = b"tWXyz-canary"
    sql = f"ALTER ROLE x PASSWORD '{canary.decode()}' -- {canary.decode()}\n, $a${canary.decode()}$a$"
    steps = [
        (">", STARTUP),
        (">", message("p", canary + b"\0")),
        ("<", WELCOME),
        (">", query(sql) + parse("s", "SELECT $1") + message("B", b"\0s\0\0\0\0\1\0\0\0\x0c" + canary + b"\0\0")),
        ("<", message("D", canary) + message("A", b"\0\0\0\1ch\0" + canary + b"\0")),
        ("<", message("E", b"SERROR\0C23505\0MKey (" + canary + b") exists\0D" + canary + b"\0\0")),
    ]
    assert canary.decode() not in repr(run(steps))


def test_faults_land_on_the_exchanges_whose_bytes_they_touched() -> None:
    """Marks of either direction reach the reply's record, and wait for bytes that are held back."""
    rows: list[tuple[Any, ...]] = []
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(STARTUP, 0)
    framer.feed_reply(WELCOME, 0)
    framer.feed_request(query("SELECT a"), 1, watched=True)
    framer.mark(">", ("slow",))
    answer = done("SELECT 0") + ready()
    framer.feed_reply(answer, 2, watched=True)
    framer.mark("<", ("late", "slow"))
    assert rows[-1][1] == "request"
    framer.passed("<", len(answer) - 1, 3)
    assert rows[-1][1] == "request"
    assert not framer.passed("<", 1, 4)
    framer.feed_request(query("SELECT b"), 5)
    framer.end(6, ("cut",))
    replies = [WireRecord(*row) for row in rows if row[1] == "reply"][1:]
    assert [(row.signature, row.faults, row.status, row.t_ns) for row in replies] == [
        ("SELECT a", ("slow", "late"), "SELECT 0", 4),
        ("SELECT b", ("cut",), "aborted", 6),
    ]
