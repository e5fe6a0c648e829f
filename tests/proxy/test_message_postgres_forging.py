"""What is said in the place of Postgres: which messages to whom, in which state, and whose answers are hidden."""

from __future__ import annotations

import struct

import pytest

from chaos.proxy.counting import Unit
from chaos.proxy.message.postgres_dialect import PostgresDialect
from chaos.proxy.message.turn import Answer, Part, Piece, Turn
from chaos.wire import PostgresFramer
from tests.wire.postgres_messages import (
    FLUSH,
    STARTUP,
    SYNC,
    WELCOME,
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

ONE, TWO, NO_DATA = message("1"), message("2"), message("n")
WORK = parse("", "SELECT 1") + bind("") + execute()
Said = tuple[str, str, str, bool]
"""Kinds of messages to the asker, the state that it is told, kinds of messages to the callee, whether the connection closes."""


class Talk:
    """A dialect whose turns are named by a framer; opened."""

    def __init__(self) -> None:
        self.dialect = PostgresDialect()
        rows: list[tuple[object, ...]] = []
        self._framer, self._rows = PostgresFramer("a>b", 1, rows.append), rows
        self.startup = self.ask(STARTUP)
        self.answer(WELCOME)

    def ask(self, data: bytes) -> Turn:
        """The last turn that begins."""
        turns = []
        for piece in self.dialect.asked(data):
            self._rows.clear()
            self._framer.feed_request(piece.data, 0)
            if piece.turn is not None and piece.part & Part.FIRST:
                piece.turn.units = tuple(Unit(number=row[4], signature=row[6]) for row in self._rows)  # type: ignore[arg-type]
                turns.append(piece.turn)
        return turns[-1]

    def answer(self, data: bytes) -> list[Piece]:
        """Pieces of an answer."""
        return self.dialect.answered(data)

    def refuse(self, turn: Turn, *, finished: bool = False, code: str = "40001") -> Said:
        """What is said instead."""
        forged = self.dialect.refusal(turn, Answer(code=code, text="no"), done=finished)
        told = kinds(forged.to_asker)
        assert f"C{code}\0".encode() in forged.to_asker
        state = forged.to_asker[-1:].decode() if told.endswith("Z") else ""
        return told, state, kinds(forged.to_callee), forged.closes


def kinds(data: bytes) -> str:
    """The types of the messages, which fill the bytes."""
    found, at = "", 0
    while at < len(data):
        kind, size = struct.unpack_from(">cI", data, at)
        found, at = found + kind.decode(), at + 1 + size
    assert at == len(data)
    return found


@pytest.mark.parametrize(
    ("state", "statement", "said"),
    [
        ("I", "INSERT", ("EZ", "I", "", False)),
        ("I", "BEGIN", ("EZ", "I", "", False)),
        ("T", "INSERT", ("EZ", "E", "ES", False)),
        ("T", "COMMIT", ("EZ", "I", "Q", False)),
        ("T", "INSERT; end work", ("EZ", "I", "Q", False)),
        ("T", "ROLLBACK", ("EZ", "E", "ES", False)),
        ("E", "INSERT", ("EZ", "E", "", False)),
        ("E", "COMMIT", ("EZ", "I", "Q", False)),
    ],
)
def test_not_passed_on(state: str, statement: str, said: Said) -> None:
    """By the state of the transaction: nothing is said to the server, or that it fail, or a ROLLBACK."""
    talk = Talk()
    talk.ask(query("anything"))
    talk.answer(ready(state))
    assert talk.refuse(talk.ask(query(statement))) == said


@pytest.mark.parametrize(
    ("state", "statement", "now", "said"),
    [
        ("I", "INSERT", "I", ("EZ", "I", "", False)),
        ("I", "BEGIN", "T", ("EZ", "I", "Q", False)),
        ("T", "INSERT", "T", ("EZ", "E", "ES", False)),
        ("T", "INSERT", "E", ("EZ", "E", "", False)),
        ("T", "COMMIT", "I", ("EZ", "I", "", False)),
    ],
)
def test_answered_and_swallowed(state: str, statement: str, now: str, said: Said) -> None:
    """What has become of the transaction is taken back, unless it is over."""
    talk = Talk()
    talk.ask(query("anything"))
    talk.answer(ready(state))
    turn = talk.ask(query(statement))
    talk.answer(done("DONE") + ready(now))
    assert talk.refuse(turn, finished=True) == said


def test_more_is_on_its_way() -> None:
    """What was sent behind it is executed, so nothing more is said to the server."""
    talk = Talk()
    talk.ask(query("anything"))
    talk.answer(ready("T"))
    turn = talk.ask(query("INSERT"))
    talk.ask(query("COMMIT"))
    talk.answer(done("INSERT 0 1") + ready("T"))
    assert talk.refuse(turn, finished=True) == ("EZ", "E", "", False)


@pytest.mark.parametrize("code", ["57P01", "57P03"])
def test_fatal_codes_close(code: str) -> None:
    """As a server that goes away does; and so does every error at the start-up."""
    talk = Talk()
    assert talk.refuse(talk.ask(query("INSERT")), code=code) == ("E", "", "", True)
    dialect = PostgresDialect()
    [startup] = dialect.asked(STARTUP)
    assert startup.turn is not None
    forged = dialect.refusal(startup.turn, Answer(code="53300"), done=False)
    assert (kinds(forged.to_asker), forged.closes) == ("E", True)
    assert b"SFATAL\0VFATAL\0C53300\0" in forged.to_asker


def test_a_sync_goes_in_the_place_of_what_follows_a_portion() -> None:
    """Prepared with Flush, executed with Sync: the server still needs the Sync."""
    talk = Talk()
    talk.ask(parse("s", "SELECT 1") + describe("s") + FLUSH)
    talk.answer(ONE + message("t", b"\0\0") + NO_DATA)
    turn = talk.ask(bind("s") + execute() + SYNC)
    assert talk.refuse(turn) == ("EZ", "I", "S", False)
    [hidden] = talk.answer(ready())
    assert hidden.turn is not None
    assert (hidden.turn.hidden, hidden.part) == (True, Part.REPLY | Part.DONE)


def test_a_portion_refused() -> None:
    """The asker is told the error alone and sends its Sync; the server is made to fail, so that it skips up to there as well."""
    talk = Talk()
    assert talk.refuse(talk.ask(WORK + FLUSH)) == ("E", "", "EH", False)
    more, last = talk.ask(WORK + FLUSH), talk.ask(SYNC)
    hidden, skipped, ended = talk.answer(failed("34000") + ready())
    assert hidden.turn is not None
    assert (hidden.turn.hidden, hidden.part) == (True, Part.REPLY | Part.DONE)
    assert (skipped.turn, skipped.data, skipped.part) == (more, b"", Part.REPLY | Part.DONE)
    assert ended.turn is last


def test_a_portion_answered_and_refused() -> None:
    """The server is made to fail behind it; with more on its way, the connection cannot go on."""
    talk = Talk()
    turn = talk.ask(WORK + FLUSH)
    talk.answer(ONE + TWO + done("SELECT 1"))
    assert talk.refuse(turn, finished=True) == ("E", "", "EH", False)
    talk = Talk()
    turn = talk.ask(WORK + FLUSH)
    talk.ask(WORK + SYNC)
    talk.answer(ONE + TWO + done("SELECT 1"))
    assert talk.refuse(turn, finished=True) == ("E", "", "", True)


def test_refused_where_the_server_skips_anyway() -> None:
    """Behind an error of its own the server listens to the Sync only."""
    talk = Talk()
    talk.ask(WORK + FLUSH)
    talk.answer(failed("22012"))
    assert talk.refuse(talk.ask(WORK + SYNC)) == ("EZ", "I", "S", False)


def test_a_hidden_answer_comes_in_its_place() -> None:
    """Between the answers to what was asked before and behind it, whatever the server says of its own accord meanwhile."""
    talk = Talk()
    talk.ask(query("BEGIN"))
    talk.answer(ready("T"))
    first, refused, last = talk.ask(query("A")), talk.ask(query("B")), talk.ask(query("C"))
    assert talk.refuse(refused) == ("EZ", "E", "ES", False)
    status = message("S", b"a\0b\0")
    pieces = talk.answer(done("A") + ready("T") + failed("34000") + status + ready("E") + failed("25P02") + ready("E"))
    turns = [piece.turn for piece in pieces]
    assert turns[:2] == [first, first]
    assert [turn is not None and turn.hidden for turn in turns[2:5]] == [True, False, True]
    assert pieces[3] == Piece(status)
    assert turns[5:] == [last, last]
    assert [bool(piece.part & Part.DONE) for piece in pieces] == [False, True, False, False, True, False, True]


@pytest.mark.parametrize(
    ("data", "part", "garbled"),
    [
        (query("SELECT") + SYNC, Part.FIRST, b"Q\0\0\0\x0b" + b"\xff" * 7 + SYNC),
        (message("D", b"\0\1\0\0\0\1x"), Part.REPLY | Part.ITEM, b"D\0\0\0\x0b" + b"\xff" * 7),
        (message("D", b"\0\1\0\0\0\1x")[:-3], Part.REPLY | Part.ITEM, b"D\0\0\0\x0b" + b"\xff" * 4),
        (done("OK"), Part.REPLY, b"C\0\0\0\7\0\xff\xff"),
        (b"\0\0\0\xffno head", Part.REPLY, b"\xff" * 11),
    ],
)
def test_garbled_messages_keep_their_heads(data: bytes, part: Part, garbled: bytes) -> None:
    """Same length, same framing; the rest of a row has no head, and a command tag ends at once for who looks for its end."""
    talk = Talk()
    item = 2 if part & Part.ITEM or data.endswith(b"head") else 0
    assert talk.dialect.garbled(Piece(data, talk.startup if item else talk.ask(query("A")), part, item)) == garbled


def test_a_garbled_start_up_keeps_length_and_version() -> None:
    """The first eight bytes are framing."""
    talk = Talk()
    assert talk.dialect.garbled(Piece(STARTUP, talk.startup, Part.FIRST)) == STARTUP[:8] + b"\xff" * (len(STARTUP) - 8)
