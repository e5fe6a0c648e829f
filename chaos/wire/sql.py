"""Fingerprints of SQL statements: what remains when literals, comments and odd spacing are gone.

One unrolled pattern reads a statement once, so that no text takes more than linear time. What is not closed (a text cut short)
counts as closed at its end.
"""

from __future__ import annotations

import re
from zlib import crc32

from chaos.model.wire_record import HOUSEKEEPING

__all__ = ["FINGERPRINTED_BYTES", "sql_signature"]

FINGERPRINTED_BYTES = 16_384
"""So much of a statement decides its signature."""

_CACHED_BYTES = 4_096
_CACHE_LIMIT = 2_048
_SIGNATURE_CHARS = 200
_cache: dict[bytes, str] = {}

# PostgreSQL 18 documentation, section 4.1, lexical structure. Comments inside comments end at the first `*/`.
_TOKEN = re.compile(
    r"""
      (?P<space> (?: \s++ | --[^\n]*+ | /\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z) )++ )
    | [eE]'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+(?:'|\\?\Z)
    | (?:[bBxXnN]|[uU]&)?'[^']*+(?:''[^']*+)*+(?:'|\Z)
    | (?P<keep>  "[^"]*+(?:""[^"]*+)*+(?:"|\Z) | [^\W\d][\w$]*+ )
    | \$(?P<tag>[^\W\d]\w*+|)\$[^$]*+(?:\$(?!(?P=tag)\$)[^$]*+)*+(?:\$(?P=tag)\$|\Z)
    | \$\d++
    | (?:\d[\d_]*+\.?[\d_]*+|\.\d[\d_]*+)(?:[eE][+-]?\d++)?\w*+
    """,
    re.VERBOSE | re.DOTALL,
)
_LIST = re.compile(r"\?(?: ?, ?\?)+")
_ROWS = re.compile(r"\(\?\)(?: ?, ?\(\?\))+")
_GENERATED = re.compile(r"(__asyncpg_[a-z]+_|_pg3_)[0-9a-f]+_*")

_TRANSACTION = re.compile(
    r"(?:(begin|start transaction)(?: .*)?|(commit|end)(?: (?:work|transaction))?|(rollback|abort)(?: (?:work|transaction))?)",
    re.IGNORECASE | re.DOTALL,
)
_TRANSACTION_WORDS = ("BEGIN", "COMMIT", "ROLLBACK")
_RESET = re.compile(r"(?:select pg_advisory_unlock_all\(\)|discard all$|reset all$)", re.IGNORECASE)
_TYPES = re.compile(r"(?:select|with)\b.*\b(?:pg_catalog\.pg_type|pg_type|typeinfo_tree)\b", re.IGNORECASE | re.DOTALL)
# asyncpg turns JIT off round its look at types.
_JIT = re.compile(r"select current_setting\(\?\) as cur, set_config\(\?, \?, false\) as new", re.IGNORECASE)
_PING = re.compile(r"(?:select \?)?", re.IGNORECASE)


def sql_signature(statement: bytes) -> str:
    """The statement's fingerprint; `BEGIN`, `COMMIT`, `ROLLBACK` and `COPY` stand for all their forms.

    What drivers and pools send of their own accord begins with `HOUSEKEEPING`: `~reset`, `~types`, `~ping`. Answers are kept for
    the first few thousand distinct statements; then the memory of them starts anew.
    """
    known = _cache.get(statement)
    if known is None:
        known = _fingerprint(statement[:FINGERPRINTED_BYTES].decode("utf-8", "replace"))
        if len(statement) <= _CACHED_BYTES:
            if len(_cache) >= _CACHE_LIMIT:
                _cache.clear()
            _cache[statement] = known
    return known


def _fingerprint(text: str) -> str:
    folded = _TOKEN.sub(_fold, text).strip(" ;")
    named = _housekeeping(folded) or _named(folded)
    if named:
        return named
    folded = _GENERATED.sub(r"\1{id}", _ROWS.sub("(?)", _LIST.sub("?", folded)))
    if len(folded) > _SIGNATURE_CHARS:
        return f"{folded[:_SIGNATURE_CHARS]}... {crc32(folded.encode()):08x}"
    return folded


def _fold(match: re.Match[str]) -> str:
    group = match.lastgroup
    return match[0] if group == "keep" else " " if group == "space" else "?"


def _housekeeping(folded: str) -> str:
    if _PING.fullmatch(folded):
        return HOUSEKEEPING + "ping"
    if _RESET.match(folded):
        return HOUSEKEEPING + "reset"
    return HOUSEKEEPING + "types" if _TYPES.match(folded) or _JIT.fullmatch(folded) else ""


def _named(folded: str) -> str:
    match = _TRANSACTION.fullmatch(folded)
    if match is not None and match.lastindex:
        return _TRANSACTION_WORDS[match.lastindex - 1]
    return "COPY" if folded[:5].upper() == "COPY " else ""
