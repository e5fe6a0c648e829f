"""Conversations on Postgres, and the turns that they should be cut into."""

from __future__ import annotations

import itertools

from chaos.proxy.message.turn import Part
from tests.proxy.postgres_turns import (
    ASKS,
    DATA,
    ITEM,
    KNOWN,
    NEWS,
    NO_DATA,
    NOTICE,
    ONE,
    OVER,
    REPLY,
    STATUS,
    TEXT,
    TWO,
    WHOLE,
    Cut,
)
from tests.wire.postgres_messages import (
    CANCEL,
    FLUSH,
    GSS,
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

SHAPES: dict[str, tuple[list[Step], list[Cut]]] = {
    "simple": (
        [(">", query("SELECT 1")), ("<", ROW[:7] + DATA + DATA + done("SELECT 2") + ready())],
        [
            (">", 1, query("SELECT 1"), 0, WHOLE),
            ("<", 1, ROW[:7], 0, TEXT),
            ("<", 1, DATA, 1, ITEM),
            ("<", 1, DATA, 2, ITEM),
            ("<", 1, done("SELECT 2") + ready(), 0, TEXT | OVER),
        ],
    ),
    "between exchanges": (
        [
            ("<", NOTICE + STATUS + NEWS),
            (">", query("SET a=1")),
            ("<", done("SET") + STATUS + ready() + NEWS),
            ("<", failed("57P01")),
        ],
        [
            (">", 1, query("SET a=1"), 0, WHOLE),
            ("<", 0, NOTICE + STATUS + NEWS, 0, Part.NONE),
            ("<", 1, done("SET") + STATUS + ready(), 0, TEXT | OVER),
            ("<", 0, NEWS + failed("57P01"), 0, Part.NONE),
        ],
    ),
    "pipelined": (
        [
            (">", parse("", "A") + bind("") + execute() + SYNC + query("B")),
            ("<", ONE + TWO + done("A") + ready() + done("B") + ready()),
        ],
        [
            (">", 1, parse("", "A") + bind("") + execute() + SYNC, 0, WHOLE),
            (">", 2, query("B"), 0, WHOLE),
            ("<", 1, ONE + TWO + done("A") + ready(), 0, TEXT | OVER),
            ("<", 2, done("B") + ready(), 0, TEXT | OVER),
        ],
    ),
    "many under one sync": (
        [
            (">", (bind("s") + execute()) * 3 + SYNC),
            ("<", (TWO + done("INSERT 0 1")) * 3 + ready()),
        ],
        [
            (">", 1, (bind("s") + execute()) * 3 + SYNC, 0, WHOLE),
            ("<", 1, (TWO + done("INSERT 0 1")) * 3 + ready(), 0, TEXT | OVER),
        ],
    ),
    "prepared with flush": (
        [
            (">", parse("s", "A") + describe("s") + FLUSH),
            ("<", ONE + KNOWN + ROW[:7]),
            (">", bind("s") + execute() + SYNC),
            ("<", TWO + DATA + done("A") + ready()),
        ],
        [
            (">", 1, parse("s", "A") + describe("s") + FLUSH, 0, WHOLE),
            (">", 2, bind("s") + execute() + SYNC, 0, WHOLE),
            ("<", 1, ONE + KNOWN + ROW[:7], 0, TEXT | OVER),
            ("<", 2, TWO, 0, REPLY),
            ("<", 2, DATA, 1, ITEM),
            ("<", 2, done("A") + ready(), 0, TEXT | OVER),
        ],
    ),
    "a failed portion": (
        [
            (">", parse("s", "A") + describe("s") + FLUSH),
            ("<", failed("42601")),
            (">", parse("t", "B") + FLUSH + parse("u", "C") + SYNC),
            ("<", NOTICE + ready()),
            (">", query("D")),
            ("<", done("D") + ready()),
        ],
        [
            (">", 1, parse("s", "A") + describe("s") + FLUSH, 0, WHOLE),
            (">", 2, parse("t", "B") + FLUSH, 0, WHOLE),
            (">", 3, parse("u", "C") + SYNC, 0, WHOLE),
            (">", 4, query("D"), 0, WHOLE),
            ("<", 1, failed("42601"), 0, OVER),
            ("<", 2, b"", 0, OVER),
            ("<", 3, NOTICE + ready(), 0, OVER),
            ("<", 4, done("D") + ready(), 0, TEXT | OVER),
        ],
    ),
    "portions that wait": (
        [
            (">", parse("", "A") + bind("") + describe("", "P") + execute() + FLUSH),
            ("<", ONE + TWO + NO_DATA + done("A")),
            (">", bind("") + execute() + FLUSH + FLUSH),
            ("<", TWO + message("s")),
            (">", SYNC),
            ("<", ready("T")),
        ],
        [
            (">", 1, parse("", "A") + bind("") + describe("", "P") + execute() + FLUSH, 0, WHOLE),
            (">", 2, bind("") + execute() + FLUSH, 0, WHOLE),
            (">", 0, FLUSH, 0, Part.NONE),
            (">", 3, SYNC, 0, WHOLE),
            ("<", 1, ONE + TWO + NO_DATA + done("A"), 0, TEXT | OVER),
            ("<", 2, TWO + message("s"), 0, OVER),
            ("<", 3, ready("T"), 0, OVER),
        ],
    ),
    "copy in": (
        [
            (">", query("COPY t FROM STDIN")),
            ("<", ASKS),
            (">", message("d", b"1\n") + message("d", b"2\n")),
            (">", message("c") + message("X")),
            ("<", done("COPY 2") + ready()),
        ],
        [
            (">", 1, query("COPY t FROM STDIN"), 0, WHOLE),
            (">", 1, message("d", b"1\n") + message("d", b"2\n") + message("c"), 0, Part.NONE),
            (">", 0, message("X"), 0, Part.NONE),
            ("<", 0, ASKS, 0, Part.ASKS),
            ("<", 1, done("COPY 2") + ready(), 0, TEXT | OVER),
        ],
    ),
    "copy in by execute": (
        [
            (">", parse("", "COPY") + describe("") + bind("") + describe("", "P") + execute() + SYNC),
            ("<", ONE + KNOWN + NO_DATA + TWO + NO_DATA + ASKS),
            (">", message("d", b"1\n") + FLUSH + message("c") + SYNC),  # the first Sync is lost in the COPY
            ("<", done("COPY 1") + ready()),
            (">", query("B")),
            ("<", done("B") + ready()),
        ],
        [
            (">", 1, parse("", "COPY") + describe("") + bind("") + describe("", "P") + execute() + SYNC, 0, WHOLE),
            (">", 1, message("d", b"1\n") + FLUSH + message("c") + SYNC, 0, Part.NONE),
            (">", 2, query("B"), 0, WHOLE),
            ("<", 0, ONE + KNOWN + NO_DATA + TWO + NO_DATA + ASKS, 0, Part.ASKS),
            ("<", 1, done("COPY 1") + ready(), 0, TEXT | OVER),
            ("<", 2, done("B") + ready(), 0, TEXT | OVER),
        ],
    ),
    "copy in that fails": (
        [
            (">", query("COPY")),
            ("<", ASKS + failed("22P04") + ready()),
            (">", message("d", b"1\n") + message("c") + query("B")),
            ("<", done("B") + ready()),
        ],
        [
            (">", 1, query("COPY"), 0, WHOLE),
            (">", 0, message("d", b"1\n") + message("c"), 0, Part.NONE),
            (">", 2, query("B"), 0, WHOLE),
            ("<", 0, ASKS, 0, Part.ASKS),
            ("<", 1, failed("22P04") + ready(), 0, OVER),
            ("<", 2, done("B") + ready(), 0, TEXT | OVER),
        ],
    ),
    "copy out": (
        [(">", query("COPY")), ("<", message("H", b"\0\0\0") + message("d", b"1\n") * 2 + message("c") + ready())],
        [
            (">", 1, query("COPY"), 0, WHOLE),
            ("<", 1, message("H", b"\0\0\0"), 0, REPLY),
            ("<", 1, message("d", b"1\n"), 1, ITEM),
            ("<", 1, message("d", b"1\n"), 2, ITEM),
            ("<", 1, message("c") + ready(), 0, OVER),
        ],
    ),
    "function call": (
        [(">", message("F", b"\0\0\0\1\0\0\0\0\0\0")), ("<", message("V", b"\0\0\0\0") + ready())],
        [
            (">", 1, message("F", b"\0\0\0\1\0\0\0\0\0\0"), 0, WHOLE),
            ("<", 1, message("V", b"\0\0\0\0") + ready(), 0, TEXT | OVER),
        ],
    ),
    "replication": (
        [(">", query("START_REPLICATION")), ("<", message("W", b"\0\0\0") + DATA), (">", query("A"))],
        [
            (">", 1, query("START_REPLICATION"), 0, WHOLE),
            (">", 0, query("A"), 0, Part.NONE),
            ("<", 0, message("W", b"\0\0\0") + DATA, 0, Part.NONE),
        ],
    ),
    "garbage": (
        [(">", query("A")), ("<", b"?\0\0\0\4"), (">", query("B"))],
        [
            (">", 1, query("A"), 0, WHOLE),
            (">", 0, query("B"), 0, Part.NONE),
            ("<", 0, b"?\0\0\0\4", 0, Part.NONE),
        ],
    ),
    "half a query": ([(">", query("A")[:-1])], [(">", 0, query("A")[:-1], 0, Part.NONE)]),
}
SASL = message("R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
BEGINNINGS: dict[str, tuple[list[Step], list[Cut]]] = {
    "refused encryption, password": (
        [
            *[(">", GSS), ("<", b"N"), (">", SSL), ("<", b"N"), (">", STARTUP), ("<", SASL), (">", message("p", b"x"))],
            *[("<", WELCOME + NOTICE), (">", query("A")), ("<", done("A") + ready())],
        ],
        [
            (">", 0, GSS + SSL, 0, Part.NONE),
            (">", 1, STARTUP, 0, WHOLE),
            (">", 0, message("p", b"x"), 0, Part.NONE),
            (">", 2, query("A"), 0, WHOLE),
            ("<", 0, b"NN" + SASL, 0, Part.NONE),
            ("<", 1, WELCOME, 0, TEXT | OVER),
            ("<", 0, NOTICE, 0, Part.NONE),
            ("<", 2, done("A") + ready(), 0, TEXT | OVER),
        ],
    ),
    "wrong password": (
        [(">", STARTUP), ("<", SASL), (">", message("p", b"x\0")), ("<", failed("28P01"))],
        [
            (">", 1, STARTUP, 0, WHOLE),
            (">", 0, message("p", b"x\0"), 0, Part.NONE),
            ("<", 0, SASL, 0, Part.NONE),
            ("<", 1, failed("28P01"), 0, OVER),
        ],
    ),
    "tls": (
        [(">", SSL), ("<", b"S"), (">", b"\x16\3\1" + query("A")), ("<", b"\x16\3\3")],
        [(">", 0, SSL + b"\x16\3\1" + query("A"), 0, Part.NONE), ("<", 0, b"S\x16\3\3", 0, Part.NONE)],
    ),
    "tls at once": ([(">", b"\x16\3\1" + query("A"))], [(">", 0, b"\x16\3\1" + query("A"), 0, Part.NONE)]),
    "cancel": ([(">", CANCEL)], [(">", 1, CANCEL, 0, WHOLE)]),
    "no Postgres": ([(">", b"GET / HTTP/1.1\r\n")], [(">", 0, b"GET / HTTP/1.1\r\n", 0, Part.NONE)]),
}
EVERYTHING = OPENED + list(
    itertools.chain.from_iterable(
        steps for name, (steps, _) in SHAPES.items() if name not in {"replication", "garbage", "half a query"}
    )
)
