"""Text that a system under test, or somebody who attacks a reader of reports, may send."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = (
    "plain",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07\x1b]8;;http://evil\x1b\\link",
    "\x9b2J\x9d0;x\x9c",
    "\x1b[",
    "[bold red]markup[/] [/nope] [link=http://evil]x[/link]",
    ":boom: :smile:",
    "]]> <![CDATA[ &amp; &#0; <script>alert(1)</script>",
    "`code` ``` ~~~ | a | b |",
    "# head\n- list\n\n> quote\n```\nfence\n```",
    "![i](http://evil) [l](javascript:x) <http://evil> http://evil",
    "**bold** __it__ ~~s~~ \\ \\| $x$",
    "a\r\nb\x00c\x08\x7f\x85\u2028d",
    "\u202eright to left\u2066\u200b\ufeff\ufffe\uffff",
    "漢字かな交じり文" * 12,
    "e\u0301" * 50 + "🦑" * 40,
    "x" * 300,
    "",
    " ",
)

texts = st.one_of(
    st.sampled_from(NASTY), st.lists(st.sampled_from(NASTY), max_size=4).map(" ".join), st.text(max_size=80)
)
