"""What the rag service asks of the gateway: vectors, and answers from a context."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from chaos.reference import problems
from chaos.reference.httpcall import Callee
from chaos.reference.messages import Passage
from chaos.reference.openai import (
    ChatCompletion,
    ChatCompletionRequest,
    ChatMessage,
    EmbeddingRequest,
    EmbeddingResponse,
)
from chaos.reference.rag.store import DIMENSION

__all__ = ["Models"]

Answer = TypeVar("Answer")

_INSTRUCTION = "Answer the question from the documents below and from nothing else."


class Models:
    """The models behind the gateway."""

    def __init__(self, gateway: Callee) -> None:
        self._gateway = gateway

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector for each text, of the dimension the tables have; raises Problem."""
        request = EmbeddingRequest(model="ref-embed", input=texts)
        answer = await self._ask("/v1/embeddings", request, EmbeddingResponse)
        vectors = [row.embedding for row in sorted(answer.data, key=lambda row: row.index)]
        if len(vectors) != len(texts) or any(len(vector) != DIMENSION for vector in vectors):
            raise problems.broken("gateway", "the embeddings do not match the request in number or dimension")
        return vectors

    async def generate(self, question: str, passages: list[Passage]) -> ChatCompletion:
        """An answer to the question from the passages; raises Problem."""
        context = "\n\n".join(f"# {passage.title}\n{passage.text}" for passage in passages)
        messages = [
            ChatMessage(role="system", content=f"{_INSTRUCTION}\n\n{context}"),
            ChatMessage(role="user", content=question),
        ]
        request = ChatCompletionRequest(model="ref-chat", messages=messages)
        return await self._ask("/v1/chat/completions", request, ChatCompletion)

    async def _ask(self, path: str, request: msgspec.Struct, answer_type: type[Answer]) -> Answer:
        body = await self._gateway.post(path, msgspec.json.encode(request))
        try:
            return msgspec.json.decode(body, type=answer_type)
        except msgspec.MsgspecError as error:
            raise problems.broken("gateway", f"the gateway's answer cannot be read: {error}") from error
