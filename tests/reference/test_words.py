"""The laws of what the model says."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.reference.openai import ChatMessage
from chaos.reference.provider import words

NONCES = st.text("0123456789abcdef", min_size=16, max_size=16).map("nonce-{}".format)


def _user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


@given(st.lists(NONCES, max_size=5), st.text(max_size=20))
def test_answers_hold_a_digest_for_each_nonce_in_order(found: list[str], key: str) -> None:
    """The digests stand in order of first appearance, once each, and the nonces themselves are not repeated."""
    text = words.answer_text(key, [_user(" and ".join(found)), _user(" ".join(reversed(found)))])
    wanted = [
        "digest-" + hmac.new(key.encode(), nonce.encode(), hashlib.sha256).hexdigest()[:16]
        for nonce in dict.fromkeys(found)
    ]
    assert [word for word in text.split() if word.startswith("digest-")] == wanted
    assert "nonce-" not in text


@given(st.text(), NONCES)
def test_embeddings_are_unit_vectors_of_the_words(text: str, nonce: str) -> None:
    """Case, order and nonces do not matter; the length is one."""
    vector = words.embed(text)
    assert len(vector) == words.DIMENSION
    assert math.isclose(sum(value * value for value in vector), 1.0)
    assert words.embed(f"{text} {nonce}") == vector


def test_embeddings_tell_texts_apart() -> None:
    """A question is nearer to the text that shares its words."""
    question = words.embed("what do tides follow")
    near, far = words.embed("the tides follow the moon"), words.embed("bees dance in the hive")

    def similarity(vector: list[float]) -> float:
        return sum(a * b for a, b in zip(question, vector, strict=True))

    assert similarity(near) > similarity(far)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip))
def test_tool_arguments_are_json_in_fragments(query: str) -> None:
    """The arguments name what stands behind `query:`, and their fragments put together are the arguments."""
    arguments = words.tool_arguments([_user(f"Task: something\nQuery: {query}"), ChatMessage(role="assistant")])
    assert json.loads(arguments) == {"query": query.lstrip()}
    pieces = words.fragments(arguments)
    assert "".join(pieces) == arguments
    assert len(pieces) > 1


def test_without_a_mark_the_whole_message_is_the_query() -> None:
    """A user who marks no query gets everything searched."""
    assert json.loads(words.tool_arguments([_user("all of this")])) == {"query": "all of this"}
    assert json.loads(words.tool_arguments([])) == {"query": ""}


@pytest.mark.parametrize("seed", range(10))
def test_the_document_with_the_words_of_the_question_wins(seed: int) -> None:
    """Among a hundred documents of other words, the one that shares four of a question's six words is the nearest."""
    random = Random(seed)
    vocabulary = [f"word{number}" for number in range(2000)]
    random.shuffle(vocabulary)
    asked, others = vocabulary[:6], vocabulary[6:]
    question = words.embed(" ".join(asked))
    near = words.embed(" ".join(asked[:4] + others[:4]))
    rest = [words.embed(" ".join(random.sample(others, 8))) for _ in range(100)]

    def similarity(vector: list[float]) -> float:
        return sum(a * b for a, b in zip(question, vector, strict=True))

    # The law behind "sources name the document": it is among the three that are shown to the model.
    assert sum(similarity(other) > similarity(near) for other in rest) < 3
