"""PostgreSQL framing: what each shape of a conversation is recorded as, whatever its pieces."""

from __future__ import annotations

import itertools
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.wire_record import WireRecord
from chaos.wire import PostgresFramer
from tests.wire.postgres_messages import (
    CANCEL,
    FLUSH,
    GSS,
    KEY,
    OPENED,
    ROW,
    SSL,
    STARTUP,
    SYNC,
    WELCOME,
    Step,
    bind,
    describe,
    done,
    execute,
    failed,
    message,
    parse,
    query,
    ready,
)

Brief = list[tuple[str, int, str, str]]


def run(steps: list[Step], *, end: bool = True) -> list[WireRecord]:
    """The records of a conversation."""
    rows: list[tuple[Any, ...]] = []
    framer = PostgresFramer("rag>postgres", 7, rows.append)
    for direction, data in steps:
        (framer.feed_request if direction == ">" else framer.feed_reply)(data, 5)
    if end:
        framer.end(5)
    return [WireRecord(*row) for row in rows]


def brief(steps: list[Step], *, opened: bool = True) -> Brief:
    """Kind, number, signature and status of each record, without the start-up's."""
    records = run(OPENED + steps if opened else steps)
    return [(row.kind, row.number, row.signature, row.status) for row in records[2 if opened else 0 :]]


def pair(number: int, signature: str, status: str) -> Brief:
    """A request and its reply."""
    return [("request", number, signature, ""), ("reply", number, signature, status)]


ASYNCPG_PREPARE: list[Step] = [
    (">", parse("s1", "SELECT * FROM docs WHERE id = $1") + describe("s1") + FLUSH),
    ("<", message("1") + message("t", b"\0\0") + message("T", b"\0\0")),
]
SHAPES: dict[str, tuple[list[Step], Brief]] = {
    "simple": (
        [(">", query("SELECT a FROM t WHERE b = 'x' AND c=42")), ("<", ROW + done("SELECT 1") + ready())],
        pair(2, "SELECT a FROM t WHERE b = ? AND c=?", "SELECT 1"),
    ),
    "several-in-one": (
        [(">", query("BEGIN; UPDATE t SET a=1")), ("<", done("BEGIN") + done("UPDATE 3") + ready("T"))],
        pair(2, "BEGIN; UPDATE t SET a=?", "UPDATE 3"),
    ),
    "error": (
        [(">", query("COMMIT")), ("<", failed("40001") + ready())],
        pair(2, "COMMIT", "40001"),
    ),
    "empty": ([(">", query("")), ("<", message("I") + ready())], pair(2, "~ping", "ok")),
    "reset": (
        [(">", query("SELECT pg_advisory_unlock_all();\nCLOSE ALL;")), ("<", done("CLOSE") + ready())],
        pair(2, "~reset", "CLOSE"),
    ),
    "prepared-apart": (
        [
            *ASYNCPG_PREPARE,
            (">", bind("s1") + execute() + SYNC),
            ("<", message("2") + message("D", b"\0\0") + done("SELECT 1") + ready()),
        ],
        pair(2, "~prepare SELECT * FROM docs WHERE id = ?", "ok")
        + pair(3, "SELECT * FROM docs WHERE id = ?", "SELECT 1"),
    ),
    "prepare-fails": (
        [
            (">", parse("s1", "SELEC 1") + describe("s1") + FLUSH),
            ("<", failed("42601")),
            (">", SYNC),
            ("<", ready()),
            (">", query("ROLLBACK")),
            ("<", done("ROLLBACK") + ready()),
        ],
        pair(2, "~prepare SELEC ?", "42601") + pair(3, "ROLLBACK", "ROLLBACK"),
    ),
    "prepared-under-sync": (
        [(">", parse("", "SELECT b") + SYNC), ("<", message("1") + ready())],
        pair(2, "~prepare SELECT b", "ok"),
    ),
    "all-at-once": (
        [
            (">", parse("", "SELECT b") + bind("") + describe("", "P") + execute() + SYNC),
            ("<", message("1") + message("2") + ROW + done("SELECT 1") + ready()),
        ],
        pair(2, "SELECT b", "SELECT 1"),
    ),
    "suspended-portal": (
        [
            (">", parse("", "SELECT b") + bind("", "p") + execute("p") + SYNC),
            ("<", message("1") + message("2") + message("s") + ready("T")),
        ],
        pair(2, "SELECT b", "suspended"),
    ),
    "executemany": (
        [
            (">", parse("s", "INSERT INTO t VALUES ($1)") + (bind("s") + execute()) * 3 + SYNC),
            ("<", message("1") + (message("2") + done("INSERT 0 1")) * 3 + ready()),
        ],
        pair(2, "INSERT INTO t VALUES (?)", "INSERT 0 1"),
    ),
    "pipeline": (
        [
            (">", parse("a", "SELECT a") + bind("a") + execute() + parse("b", "SELECT b") + bind("b") + execute()),
            (">", SYNC + query("COMMIT")),
            ("<", message("1") + message("2") + done("SELECT 1") + message("1") + message("2") + done("SELECT 2")),
            ("<", ready() + done("COMMIT") + ready()),
        ],
        [
            ("request", 2, "SELECT a", ""),
            ("request", 3, "SELECT b", ""),
            ("request", 4, "COMMIT", ""),
            ("reply", 2, "SELECT a", "SELECT 1"),
            ("reply", 3, "SELECT b", "SELECT 2"),
            ("reply", 4, "COMMIT", "COMMIT"),
        ],
    ),
    "pipeline-fails": (
        [
            (">", parse("a", "SELECT a") + bind("a") + execute() + parse("b", "SELECT b") + bind("b") + execute()),
            (">", parse("c", "SELECT c") + bind("c") + execute() + SYNC),
            ("<", message("1") + message("2") + done("SELECT 1") + message("1") + failed("22012") + ready()),
        ],
        [
            ("request", 2, "SELECT a", ""),
            ("request", 3, "SELECT b", ""),
            ("request", 4, "SELECT c", ""),
            ("reply", 2, "SELECT a", "SELECT 1"),
            ("reply", 3, "SELECT b", "22012"),
            ("reply", 4, "SELECT c", "skipped"),
        ],
    ),
    "fails-at-sync": (
        [
            (">", parse("", "INSERT INTO t VALUES ($1)") + bind("") + execute() + SYNC),
            ("<", message("1") + message("2") + done("INSERT 0 1") + failed("23505") + ready()),
        ],
        pair(2, "INSERT INTO t VALUES (?)", "23505"),
    ),
    "closed-and-named-anew": (
        [
            (">", parse("s", "SELECT a") + SYNC + message("C", b"Ss\0") + parse("s", "SELECT b") + SYNC),
            ("<", message("1") + ready() + message("3") + message("1") + ready()),
            (">", bind("s") + execute() + SYNC),
            ("<", message("2") + done("SELECT 0") + ready()),
        ],
        [
            ("request", 2, "~prepare SELECT a", ""),
            ("request", 3, "~prepare SELECT b", ""),
            ("reply", 2, "~prepare SELECT a", "ok"),
            ("reply", 3, "~prepare SELECT b", "ok"),
            ("request", 4, "SELECT b", ""),
            ("reply", 4, "SELECT b", "SELECT 0"),
        ],
    ),
    "copy-in": (
        [
            (">", query('COPY "public"."t" FROM STDIN')),
            ("<", message("G", b"\0\0\0")),
            (">", message("d", b"1\n") + message("d", bytes(70_000)) + message("c")),
            ("<", done("COPY 2") + ready()),
        ],
        pair(2, "COPY", "COPY 2"),
    ),
    "copy-in-by-execute": (
        [
            (">", parse("", "COPY t FROM STDIN") + bind("") + execute() + SYNC),
            ("<", message("1") + message("2") + message("G", b"\0\0\0")),
            (
                ">",
                message("d", b"1\n") + SYNC + FLUSH + message("c") + SYNC,
            ),  # the first two Syncs are lost in the COPY
            ("<", done("COPY 1") + ready()),
            (">", query("COMMIT")),
            ("<", done("COMMIT") + ready()),
            (">", SYNC),
            ("<", ready()),
            (">", query("ROLLBACK")),
            ("<", done("ROLLBACK") + ready()),
        ],
        pair(2, "COPY", "COPY 1") + pair(3, "COMMIT", "COMMIT") + pair(4, "ROLLBACK", "ROLLBACK"),
    ),
    "copy-in-by-execute-and-flush": (
        [
            (">", parse("", "COPY t FROM STDIN") + bind("") + execute() + FLUSH),
            ("<", message("1") + message("2") + message("G", b"\0\0\0")),
            (">", message("f", b"no\0") + SYNC),
            ("<", failed("57014") + ready()),
            (">", query("COMMIT")),
            ("<", done("COMMIT") + ready()),
        ],
        pair(2, "COPY", "57014") + pair(3, "COMMIT", "COMMIT"),
    ),
    "copy-out": (
        [
            (">", query("copy t to stdout")),
            ("<", message("H", b"\0\0\0") + message("d", bytes(50_000)) + message("c") + done("COPY 1") + ready()),
        ],
        pair(2, "COPY", "COPY 1"),
    ),
    "copy-failed": (
        [
            (">", query("COPY t FROM STDIN")),
            ("<", message("G", b"\0\0\0")),
            (">", message("f", b"no\0")),
            ("<", failed("57014") + ready()),
        ],
        pair(2, "COPY", "57014"),
    ),
    "notification": (
        [
            (">", query("LISTEN news")),
            ("<", done("LISTEN") + ready() + message("A", b"\0\0\0\7news\0secret\0")),
        ],
        [*pair(2, "LISTEN news", "LISTEN"), ("request", 3, "NOTIFY news", "")],
    ),
    "idle-and-terminated": ([("<", failed("57P01"))], [("reply", 0, "", "57P01")]),
    "terminated-midway": ([(">", query("COMMIT")), ("<", failed("57P01"))], pair(2, "COMMIT", "57P01")),
    "cut-before-its-end": ([(">", query("COMMIT")), ("<", done("COMMIT"))], pair(2, "COMMIT", "aborted")),
    "unknown-statement": (
        [(">", bind("never seen") + execute() + SYNC), ("<", message("2") + done("SELECT 0") + ready())],
        pair(2, "EXECUTE", "SELECT 0"),
    ),
    "function-call": (
        [(">", message("F", b"\0\0\0\1\0\0\0\0\0\0")), ("<", message("V", b"\0\0\0\0") + ready())],
        pair(2, "function call", "ok"),
    ),
    "garbage": (
        [(">", b"?\0\0\0\4")],
        [("raw", 1, "", ""), ("raw", 1, "", "")],
    ),
    "huge-length": (
        [(">", query("COMMIT")), ("<", b"D\x7f\xff\xff\xff")],
        [("request", 2, "COMMIT", ""), ("raw", 2, "", ""), ("raw", 2, "", ""), ("reply", 2, "COMMIT", "unframed")],
    ),
}


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


EVERYTHING = [*OPENED, *itertools.chain.from_iterable(steps for name, (steps, _) in SHAPES.items() if name not in {
    "garbage", "huge-length", "idle-and-terminated", "terminated-midway", "cut-before-its-end",
})]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_split_gives_the_same_records(size: int) -> None:
    """Bytes that come one at a time are framed as those that come at once."""
    pieces = [
        (way, data[at : at + step])
        for way, data in EVERYTHING
        for step in [size if len(data) < 40_000 else 9_001]
        for at in range(0, len(data), step)
    ]
    assert run(pieces) == run(EVERYTHING)


SMALL = [(way, data) for way, data in EVERYTHING if len(data) < 40_000]


def test_a_split_at_any_byte_gives_the_same_records() -> None:
    """Each step of the conversation comes in two chunks, cut at each of its bytes in turn."""
    whole = run(SMALL)
    for index, (way, data) in enumerate(SMALL):
        for at in range(1, len(data)):
            assert run([*SMALL[:index], (way, data[:at]), (way, data[at:]), *SMALL[index + 1 :]]) == whole


@given(st.integers(0, 1 << 32))
def test_any_splits_give_the_same_records(seed: int) -> None:
    """Wherever the chunks of both streams end."""
    random, pieces = Random(seed), list[Step]()
    for way, step in SMALL:
        marks = sorted(random.choices(range(len(step) + 1), k=random.randrange(6)))
        pieces += [(way, step[start:stop]) for start, stop in itertools.pairwise([0, *marks, len(step)])]
    assert run(pieces) == run(SMALL)


@given(st.lists(st.tuples(st.sampled_from("><"), st.sampled_from([
    query("BEGIN"), parse("s", "SELECT 1"), bind("s"), execute(), describe("s"), SYNC, FLUSH, message("X"), message("d", b"x"),
    done("SELECT 1"), failed("XX000"), ready(), message("1"), message("n"), ROW, message("I"), message("s"), KEY, b"\0", b"S",
    STARTUP, SSL, CANCEL, b"N", message("A", b"x"), message("E"), message("C"), message("Z", b""), message("P", b"no end"),
])), max_size=30), st.booleans())  # fmt: skip
@settings(max_examples=200)
def test_no_order_of_messages_raises(steps: list[Step], opened: bool) -> None:
    """Whatever comes when, every record is well formed and no request is answered twice."""
    records = run(OPENED + steps if opened else steps)
    answered = [row.number for row in records if row.kind == "reply" and row.number]
    asked = {row.number for row in records if row.kind == "request"}
    assert len(answered) == len(set(answered))
    assert set(answered) <= asked


@given(st.lists(st.tuples(st.sampled_from("><"), st.binary(max_size=60)), max_size=10))
@settings(max_examples=200)
def test_no_bytes_raise(steps: list[Step]) -> None:
    """Noise is passed over or told as raw."""
    run(steps)
    run(OPENED + steps)


def test_memory_is_bounded() -> None:
    """Neither statements without end, nor requests without answers, nor heads that never end are kept."""
    rows: list[tuple[Any, ...]] = []
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(STARTUP, 0)
    framer.feed_request(b"Q" + struct.pack(">I", 1 << 29) + b"SELECT '", 0)
    for _ in range(100):
        framer.feed_request(bytes(65_536), 0)
        assert len(framer.up.carry) <= 16_384 + 5
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(STARTUP, 0)
    for index in range(6_000):
        framer.feed_request(query(f"SELECT a{index % 7}"), 0)
    assert framer.raw


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
