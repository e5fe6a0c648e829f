"""Long groups, statements, rows and COPY on Postgres: what names a turn, and how little of it is kept back."""

from __future__ import annotations

import struct

import pytest

from chaos.proxy.message.postgres_asking import KEPT_BYTES
from chaos.proxy.message.postgres_dialect import PostgresDialect
from chaos.proxy.message.turn import Part, Piece
from chaos.wire import PostgresFramer
from tests.proxy.postgres_turns import ASKS, DATA, ONE, OVER, TEXT
from tests.wire.postgres_messages import (
    FLUSH,
    STARTUP,
    SYNC,
    bind,
    describe,
    done,
    execute,
    message,
    parse,
    query,
    ready,
)


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


def test_rows_that_a_fault_may_come_to_count_go_on_one_by_one() -> None:
    """Which is known when the statement is asked for."""
    dialect = PostgresDialect(opened=True)
    (asked,) = dialect.asked(query("A"))
    assert asked.turn is not None
    asked.turn.later = ("a fault",)
    assert [piece.item for piece in dialect.answered(DATA * 3)] == [1, 2, 3]


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
