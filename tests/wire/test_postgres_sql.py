"""Statement fingerprints: literals gone, spelling kept, time linear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.wire import sql_signature
from chaos.wire.sql import FINGERPRINTED_BYTES


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM t WHERE id = 42 AND n='it''s' -- x\n AND \"a b\"=$1", 'SELECT * FROM t WHERE id = ? AND n=? AND "a b"=?'),
        ("INSERT INTO t2(a,b) VALUES (1,'x'),(2, 'y');", "INSERT INTO t2(a,b) VALUES (?)"),
        ("SELECT * FROM t WHERE id IN ($1, $2,$3)", "SELECT * FROM t WHERE id IN (?)"),
        ("SELECT E'a\\'b', $$x'y$$, $q$ ' $q$ , B'01', U&'x', 1.5e3, .5, a.b", "SELECT ?, a.b"),
        ("select v <-> '[1,2]'::vector /* a * b **/ from t1", "select v <-> ?::vector from t1"),
        ("ALTER ROLE x PASSWORD 'cut sho", "ALTER ROLE x PASSWORD ?"),
        ("/* open", "~ping"),
        ("begin isolation level serializable;", "BEGIN"),
        ("START TRANSACTION READ ONLY", "BEGIN"),
        ("COMMIT;", "COMMIT"),
        ("END", "COMMIT"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED ?"),
        ("abort", "ROLLBACK"),
        ("ROLLBACK TO SAVEPOINT x", "ROLLBACK TO SAVEPOINT x"),
        ('SAVEPOINT "__asyncpg_savepoint_1f__"', 'SAVEPOINT "__asyncpg_savepoint_{id}"'),
        ("COPY t (a) FROM STDIN", "COPY"),
        ("SELECT 1", "~ping"),
        ("", "~ping"),
        ("DISCARD ALL", "~reset"),
        ("SELECT t.oid FROM pg_catalog.pg_type AS t WHERE t.typname = $1", "~types"),
        ("SELECT name'x', u1, 1e5", "SELECT name?, u1, ?"),
    ],
)  # fmt: skip
def test_fingerprints(statement: str, expected: str) -> None:
    """Each lexical rule leaves what it should."""
    assert sql_signature(statement.encode()) == expected


def test_long_statements_stay_apart() -> None:
    """A signature is bounded; what it leaves out still tells statements apart."""
    one, other = (sql_signature(("SELECT " + "column_a, " * 100 + end).encode()) for end in ("x", "y"))
    assert one != other
    assert len(one) < 250


@given(st.text(alphabet="'\"$aE/*-\\ 1;\n(),é", max_size=80))
def test_literals_never_show(text: str) -> None:
    """Whatever stands inside a literal, the fingerprint is that of any other literal."""
    quoted = text.replace("'", "''")
    assert sql_signature(f"SELECT x WHERE a='{quoted}' AND b".encode()) == "SELECT x WHERE a=? AND b"


@given(st.binary(max_size=200))
def test_no_bytes_raise(statement: bytes) -> None:
    """Any bytes have a fingerprint."""
    assert isinstance(sql_signature(statement), str)


@pytest.mark.parametrize(
    "piece", ["$a$b", "/*", "'", "E'\\", '"', "/* *", "a'", "/", "*/", "$", "**x", " ", "?,", "(?),", "e'", "1.", "--"]
)
def test_no_text_takes_for_ever(piece: str) -> None:
    """Texts made to make patterns go back and forth are read once; the test's own timeout is the bound."""
    for before in ("", "/*", "'", "$x$"):
        sql_signature((before + piece * (FINGERPRINTED_BYTES // len(piece))).encode())
