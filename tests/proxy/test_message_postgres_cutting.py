"""Postgres streams cut into turns: whose bytes are whose, where answers end, which are rows; whatever the pieces they come in."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.message.postgres_asking import KEPT_BYTES
from chaos.proxy.message.postgres_dialect import PostgresDialect
from chaos.proxy.message.turn import Part, Piece, Turn
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

Cut = tuple[str, int, bytes, int, Part]
"""Direction, number of the turn (0: none), bytes, item, parts."""

DATA = message("D", b"\0\1\0\0\0\3abc")
NOTICE, STATUS, NEWS = message("N", b"SNOTICE\0\0"), message("S", b"a\0b\0"), message("A", b"\0\0\0\7news\0x\0")
ONE, TWO, ASKS, NO_DATA = message("1"), message("2"), message("G", b"\0\0\0"), message("n")
KNOWN = message("t", b"\0\0")
WHOLE = Part.FIRST | Part.LAST | Part.PAYLOAD
REPLY, OVER = Part.REPLY, Part.REPLY | Part.DONE
TEXT = Part.REPLY | Part.PAYLOAD
ITEM = TEXT | Part.ITEM | Part.ENDS


def cut(steps: Iterable[Step], *, opened: bool = True) -> list[Cut]:
    """Every piece of a conversation; what is kept back to the end is of no turn."""
    dialect, turns = PostgresDialect(opened=opened), dict[int, int]()
    kept: list[Turn] = []  # so that no address is given twice

    def number(turn: Turn | None) -> int:
        if turn is None:
            return 0
        kept.append(turn)
        return turns.setdefault(id(turn), len(turns) + 1)

    def told(direction: str, pieces: list[Piece]) -> list[Cut]:
        for piece in pieces:
            if piece.turn is not None:
                piece.turn.plan = "a fault that counts rows"
        return [(direction, number(piece.turn), piece.data, piece.item, piece.part) for piece in pieces]

    found: list[Cut] = []
    for direction, data in steps:
        found += told(direction, dialect.asked(data) if direction == ">" else dialect.answered(data))
    for direction in "><":
        found += told(direction, dialect.ended(direction))
    return found


def joined(cuts: list[Cut], direction: str) -> list[Cut]:
    """One direction's pieces, those of one turn and item in a row as one."""
    found: list[Cut] = []
    for way, turn, data, item, part in cuts:
        if way != direction:
            continue
        more = found and found[-1][1] == turn and found[-1][3] == item and not found[-1][4] & Part.LAST
        if more and not part & Part.ITEM:
            found[-1] = (way, turn, found[-1][2] + data, item, found[-1][4] | part)
        else:
            found.append((way, turn, data, item, part))
    return found


def both(steps: Iterable[Step], *, opened: bool = True) -> list[Cut]:
    """Both directions, joined."""
    cuts = cut(steps, opened=opened)
    return joined(cuts, ">") + joined(cuts, "<")


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


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_of_a_conversation(shape: str) -> None:
    """Every way of the protocol is cut where its turns begin and end."""
    steps, expected = SHAPES[shape]
    assert both(steps) == expected


@pytest.mark.parametrize("shape", BEGINNINGS)
def test_each_way_to_begin(shape: str) -> None:
    """First packets, what answers them, and dialogues about passwords, which belong to no turn."""
    steps, expected = BEGINNINGS[shape]
    assert both(steps, opened=False) == expected


EVERYTHING = OPENED + list(
    itertools.chain.from_iterable(
        steps for name, (steps, _) in SHAPES.items() if name not in {"replication", "garbage", "half a query"}
    )
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_every_size_of_chunks_gives_the_same_turns(size: int) -> None:
    """Bytes that come one at a time belong to the same turns and items as those that come at once."""
    pieces = [(way, data[at : at + size]) for way, data in EVERYTHING for at in range(0, len(data), size)]
    assert both(pieces, opened=False) == both(EVERYTHING, opened=False)


@given(st.integers(0, 1 << 32))
def test_every_split_gives_the_same_turns(seed: int) -> None:
    """Wherever both streams are cut."""
    random, pieces = Random(seed), list[Step]()
    for way, step in EVERYTHING:
        marks = sorted(random.choices(range(len(step) + 1), k=random.randrange(6)))
        pieces += [(way, step[start:stop]) for start, stop in itertools.pairwise([0, *marks, len(step)])]
    assert both(pieces, opened=False) == both(EVERYTHING, opened=False)


def test_a_split_at_any_byte_gives_the_same_turns() -> None:
    """Each step of the conversation comes in two chunks, cut at each of its bytes in turn."""
    whole = both(EVERYTHING, opened=False)
    for index, (way, data) in enumerate(EVERYTHING):
        for at in range(1, len(data)):
            pieces = [*EVERYTHING[:index], (way, data[:at]), (way, data[at:]), *EVERYTHING[index + 1 :]]
            assert both(pieces, opened=False) == whole


WORDS = [
    query("BEGIN"), parse("s", "SELECT 1"), bind("s"), execute(), describe("s"), SYNC, FLUSH, message("X"), message("c"),
    message("d", b"x" * 9), message("f", b"\0"), message("p", b"x"), message("F"), done("SELECT 1"), failed("XX000"), ready(),
    ready("T"), ONE, TWO, NO_DATA, ROW, ASKS, message("I"), message("s"), KEY, b"\0", b"S", STARTUP, SSL, CANCEL, b"N", NEWS,
    NOTICE, message("E"), message("C"), message("Z"), message("Z", b"??"), message("P", b"no end"), message("R"), DATA[:9],
    message("1", b"x"), b"Q\x7f\xff\xff\xff", b"D\0\0\0\3",
]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from("><"), st.sampled_from(WORDS) | st.binary(max_size=20)), max_size=30),
    st.booleans(),
)
@settings(max_examples=300)
def test_whatever_comes_nothing_is_lost(steps: list[Step], opened: bool) -> None:
    """No order of messages and no noise raises; the pieces joined are what was fed, and no turn is over twice."""
    cuts = cut(steps, opened=opened)
    for direction in "><":
        assert b"".join(data for way, _, data, _, _ in cuts if way == direction) == b"".join(
            data for way, data in steps if way == direction
        )
    over = [turn for _, turn, _, _, part in cuts if part & Part.DONE]
    assert len(over) == len(set(over))
    assert 0 not in over
    begun = [turn for _, turn, _, _, part in cuts if part & Part.FIRST]
    assert len(begun) == len(set(begun))


def test_the_first_piece_names_all_that_stands_under_one_sync() -> None:
    """The framer, fed piece by piece, has told every statement of a turn once its first piece was fed."""
    names: list[list[str]] = []
    rows: list[tuple[object, ...]] = []
    framer, dialect = PostgresFramer("a>b", 1, rows.append), PostgresDialect()
    group = parse("a", "SELECT a") + bind("a") + execute() + parse("b", "SELECT b") + bind("b") + execute() + SYNC
    data = STARTUP + parse("p", "SELECT p") + describe("p") + FLUSH + group + query("COMMIT")
    for byte in data:
        for piece in dialect.asked(bytes([byte])):
            before = len(rows)
            framer.feed_request(piece.data, 0)
            assert piece.part & Part.FIRST
            names.append([str(row[6]) for row in rows[before:]])
    assert names == [["startup"], ["~prepare SELECT p"], ["SELECT a", "SELECT b"], ["COMMIT"]]


@pytest.mark.parametrize("chunk", [1_000, 65_536])
def test_a_long_group_goes_on_as_it_comes(chunk: int) -> None:
    """Beyond its bound a group is not kept back; what was complete by then names it, and it is one turn to its end."""
    rows = [bind("s") + message("B", b"\0s\0" + bytes(7_000)) + execute() for _ in range(400)]
    group = b"".join(rows) + SYNC
    dialect = PostgresDialect(opened=True)
    pieces: list[Piece] = []
    for at in range(0, len(group), chunk):
        pieces += dialect.asked(group[at : at + chunk])
        assert dialect.kept(">") <= KEPT_BYTES + chunk
        assert dialect.amid(">") == (len(pieces) > 0 and not pieces[-1].part & Part.LAST)
    assert b"".join(piece.data for piece in pieces) == group
    assert len({id(piece.turn) for piece in pieces}) == 1
    assert pieces[0].part == Part.FIRST | Part.PAYLOAD
    assert [piece.part for piece in pieces[1:-1]] == [Part.NONE] * (len(pieces) - 2)
    assert pieces[-1].part == Part.LAST
    [answer] = dialect.answered(ready())
    assert (answer.turn, answer.part) == (pieces[0].turn, OVER)


def test_a_long_query_is_one_turn() -> None:
    """A statement beyond the bound is named by its beginning, and its last piece says that it is over."""
    sql = query("SELECT '" + "x" * (3 << 20) + "'")
    dialect = PostgresDialect(opened=True)
    pieces = [piece for at in range(0, len(sql), 65_536) for piece in dialect.asked(sql[at : at + 65_536])]
    assert b"".join(piece.data for piece in pieces) == sql
    assert [pieces[0].part, pieces[-1].part] == [Part.FIRST | Part.PAYLOAD, Part.LAST]
    assert len({id(piece.turn) for piece in pieces}) == 1


def test_bulk_copy_is_not_kept_back() -> None:
    """Both ways, whatever the size of its rows: at most a chunk waits, and a row longer than a chunk goes on in parts of one item."""
    chunk, nbytes = bytes(65_536), 200 << 20
    dialect = PostgresDialect(opened=True)
    dialect.asked(query("COPY a FROM STDIN"))
    dialect.answered(ASKS)
    row = message("d", b"x" * 900)
    for data, times in ((row * 70, 100), (b"d" + struct.pack(">I", nbytes + 4), 1), (chunk, nbytes // len(chunk))):
        for _ in range(times):
            pieces = dialect.asked(data)
            assert sum(len(piece.data) for piece in pieces) == len(data)
            assert len(pieces) == 1
            assert dialect.kept(">") == 0
    dialect.asked(message("c"))
    dialect.answered(done("COPY 2") + ready())
    dialect.asked(query("COPY a TO STDOUT"))
    for data, times in (
        (message("H", b"\0\0\0"), 1),
        (b"d" + struct.pack(">I", nbytes + 4), 1),
        (chunk, nbytes // len(chunk)),
    ):
        for _ in range(times):
            pieces = dialect.answered(data)
            assert sum(len(piece.data) for piece in pieces) == len(data)
            assert dialect.kept("<") == 0
    assert pieces[-1].part == TEXT | Part.ENDS
    assert pieces[-1].item == 1
    assert not dialect.amid("<")


def test_rows_that_no_fault_counts_go_on_together() -> None:
    """One piece for all rows that are there, and their number is known."""
    dialect = PostgresDialect(opened=True)
    dialect.asked(query("A"))
    rows, turn, part, item = dialect.answered(DATA * 1_000 + DATA[:-1])[0][:4]
    assert (rows, turn is not None and turn.items, part, item) == (
        DATA * 1_000 + DATA[:-1],
        1_001,
        TEXT | Part.ITEM,
        1_001,
    )
    rest, end = dialect.answered(DATA[-1:] + ready())
    assert (rest.data, rest.part, end.part) == (DATA[-1:], TEXT | Part.ENDS, OVER)


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    """Neither an answer's long text nor endless good news wait for long."""
    dialect = PostgresDialect(opened=True)
    dialect.asked(query("A"))
    for data in (b"E" + struct.pack(">I", 1 << 24), *[bytes(65_536)] * 20):
        dialect.answered(data)
        assert dialect.kept("<") <= 65_536
    dialect = PostgresDialect(opened=True)
    dialect.asked(query("A"))
    for _ in range(1_000):
        dialect.answered(ONE * 100)
        assert dialect.kept("<") <= 4_096 + 500


def test_questions_without_answers_end_the_cutting() -> None:
    """Nobody keeps account of questions without end."""
    dialect = PostgresDialect(opened=True)
    pieces = [piece for _ in range(6_000) for piece in dialect.asked(query("A"))]
    assert pieces[0].turn is not None
    assert pieces[-1].turn is None
