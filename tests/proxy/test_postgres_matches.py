"""The page on toxics about Postgres: each pattern takes what it says, and none of what the other lines are about."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.proxy.counting import Unit, matcher
from chaos.wire import PostgresFramer
from tests.wire.postgres_messages import CANCEL, STARTUP, SYNC, bind, execute, parse, query

PAGE = (Path(__file__).parents[2] / "docs/toxics.md").read_text(encoding="utf-8")
INSERT = parse("s", "INSERT INTO orders VALUES (42)") + (bind("s") + execute()) * 3 + SYNC
FORMS = {
    "BEGIN": [
        "begin",
        "BEGIN;",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "BEGIN ISOLATION LEVEL READ COMMITTED;",
    ],
    "COMMIT": ["COMMIT;", "commit work", "END", "END TRANSACTION -- done"],
    "COPY": ['COPY "public"."orders"("a") FROM STDIN WITH (FORMAT binary)', "copy orders to stdout"],
}


def names(*messages: bytes) -> list[str]:
    """What the wire log calls what the caller sends."""
    rows: list[tuple[object, ...]] = []
    framer = PostgresFramer("a>b", 1, rows.append)
    framer.feed_request(b"".join(messages), 0)
    return [str(row[6]) for row in rows]


def test_what_the_page_says_can_be_matched() -> None:
    """Its examples are the names of real messages, and each is taken by the pattern of its line alone."""
    told = PAGE.partition("## Messages of Postgres")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", told, re.MULTILINE)
    sent = [*names(STARTUP, query("BEGIN"), query("COMMIT"), INSERT, query("COPY orders FROM STDIN")), *names(CANCEL)]
    sent += names(STARTUP, query("BEGIN; DELETE FROM orders; COMMIT"))[1:]
    assert sorted(name for _, name in lines) == sorted(sent)
    for pattern, name in lines:
        takes = matcher(pattern)
        assert [one for one in sent if takes(Unit(number=1, signature=one))] == [name]


def test_all_forms_have_one_name() -> None:
    """However a driver spells it."""
    for name, forms in FORMS.items():
        assert names(STARTUP, *[query(form) for form in forms])[1:] == [name] * len(forms)
