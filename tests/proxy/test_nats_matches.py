"""The page on toxics about NATS: each pattern takes what it says, and none of what the other lines are about."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.proxy.counting import Unit, matcher
from tests.proxy.nats_turns import Seated
from tests.wire.nats_messages import msg, pub

PAGE = (Path(__file__).parents[2] / "docs/toxics.md").read_text(encoding="utf-8")
ACK = "$JS.ACK.TASKS.agent.1.7.9.0.3"


def test_what_the_page_says_can_be_matched() -> None:
    """Its examples are the names of real messages, and each is taken by the pattern of its line alone."""
    told = PAGE.partition("## Messages of NATS")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", told, re.MULTILINE)
    talk = [
        (
            ">",
            pub("tasks.run", b"x", "_INBOX.1")
            + b"SUB tasks.run 1\r\n"
            + pub("$JS.API.CONSUMER.MSG.NEXT.TASKS.agent", b"", "in"),
        ),
        ("<", msg("tasks.run", b"x", ACK)),
        (">", b"".join(pub(ACK, kind) for kind in (b"+WPI", b"+ACK", b"+TERM", b"-NAK"))),
    ]
    names = [name for named in Seated().run(talk).names for name in named]
    assert sorted(name for _, name in lines) == sorted(names)
    for pattern, name in lines:
        takes = matcher(pattern)
        assert [one for one in names if takes(Unit(number=1, signature=one))] == [name]
