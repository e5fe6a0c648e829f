"""What the model says, as pure functions: digests of the nonces it was shown, tool arguments, embeddings, token counts.

An echo of the prompt proves nothing; a keyed digest proves that the text reached the one process that knows the key.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from chaos.reference.openai import ChatMessage

__all__ = ["DIMENSION", "answer_text", "count_tokens", "digest", "embed", "fragments", "nonces", "tool_arguments"]

DIMENSION = 64

_NONCE = re.compile(r"nonce-[0-9a-f]{16}")
_WORD = re.compile(r"\w+")
_QUERY = re.compile(r"^query:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_FRAGMENT_CHARACTERS = 12


def nonces(messages: Iterable[ChatMessage]) -> list[str]:
    """Every nonce in the messages, once, in order of first appearance."""
    found = (nonce for message in messages for nonce in _NONCE.findall(message.content or ""))
    return list(dict.fromkeys(found))


def digest(key: str, nonce: str) -> str:
    """The keyed digest an answer holds for a nonce."""
    return "digest-" + hmac.new(key.encode(), nonce.encode(), hashlib.sha256).hexdigest()[:16]


def answer_text(key: str, messages: list[ChatMessage]) -> str:
    """The answer to a conversation."""
    digests = " ".join(digest(key, nonce) for nonce in nonces(messages))
    return f"This is what the context says: {digests}" if digests else "There is nothing to add to that."


def tool_arguments(messages: list[ChatMessage]) -> str:
    """Arguments for a search tool: what follows `query:` in the last word of the user, else all of it."""
    asked = next((message.content for message in reversed(messages) if message.role == "user"), None) or ""
    marked = _QUERY.search(asked)
    return msgspec.json.encode({"query": marked.group(1) if marked else asked}).decode()


def fragments(text: str) -> list[str]:
    """A JSON text in the pieces it is streamed in."""
    return [text[start : start + _FRAGMENT_CHARACTERS] for start in range(0, len(text), _FRAGMENT_CHARACTERS)]


def embed(text: str) -> list[float]:
    """A hashed bag of lower-case words, L2-normalised; nonces stay out of it, so that they do not rank documents.

    Every word adds one sign to each dimension: with one bucket for a word, 64 buckets collide in any longer sentence,
    and a text without a common word could outrank one that has them all.
    """
    sums = [0] * DIMENSION
    for word, count in Counter(_WORD.findall(_NONCE.sub(" ", text).lower())).items():
        for dimension, sign in enumerate(_signs(word)):
            sums[dimension] += sign * count
    norm = math.sqrt(sum(value * value for value in sums))
    if norm == 0.0:
        return [1.0] + [0.0] * (DIMENSION - 1)
    return [value / norm for value in sums]


@lru_cache(maxsize=10_000)
def _signs(word: str) -> tuple[int, ...]:
    bits = int.from_bytes(hashlib.sha256(word.encode()).digest()[: DIMENSION // 8])
    return tuple(1 if bits >> dimension & 1 else -1 for dimension in range(DIMENSION))


def count_tokens(texts: Iterable[str | None]) -> int:
    """Tokens of some texts: here, words."""
    return sum(len((text or "").split()) for text in texts)
