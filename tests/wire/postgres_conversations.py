"""Conversations on Postgres, and the records that they should give."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from chaos.model.wire_record import WireRecord
from chaos.wire import PostgresFramer
from tests.wire.postgres_messages import (
    FLUSH,
    OPENED,
    ROW,
    SYNC,
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


def run(steps: Iterable[Step], *, end: bool = True) -> list[WireRecord]:
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
EVERYTHING = [*OPENED, *itertools.chain.from_iterable(steps for name, (steps, _) in SHAPES.items() if name not in {
    "garbage", "huge-length", "idle-and-terminated", "terminated-midway", "cut-before-its-end",
})]  # fmt: skip
