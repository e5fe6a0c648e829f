"""The part of the OpenAI-compatible shapes that is spoken here: chat completions (plain and streamed), embeddings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "STREAM_DONE",
    "ChatCompletion",
    "ChatCompletionRequest",
    "ChatMessage",
    "Choice",
    "Chunk",
    "ChunkChoice",
    "Delta",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "EmbeddingRow",
    "FunctionCall",
    "FunctionCallDelta",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolFunction",
    "Usage",
]

STREAM_DONE = "[DONE]"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens counted for one call."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )


class FunctionCall(msgspec.Struct, frozen=True, kw_only=True):
    """A function by name, its arguments as a JSON text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool that the model asks for."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class ToolFunction(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool is called, is for, and takes (a JSON Schema)."""

    name: str
    description: str = ""
    parameters: dict[str, object] = {}


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool offered to the model."""

    function: ToolFunction
    type: Literal["function"] = "function"


class ChatCompletionRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `POST /v1/chat/completions`."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=100)]
    stream: bool = False
    tools: list[Tool] | None = None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a plain completion."""

    message: ChatMessage
    finish_reason: str
    index: int = 0


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A plain completion."""

    id: str
    created: int
    model: str
    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: Usage
    object: Literal["chat.completion"] = "chat.completion"


class FunctionCallDelta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fragment of a function call: the name comes once, the arguments in pieces."""

    name: str | None = None
    arguments: str = ""


class ToolCallDelta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A fragment of the tool call with this index; the id comes with the first."""

    index: int
    function: FunctionCallDelta
    id: str | None = None
    type: Literal["function"] | None = None


class Delta(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a chunk adds to the message."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one choice of a chunk."""

    delta: Delta
    finish_reason: str | None = None
    index: int = 0


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a streamed completion; the last one before the end carries the usage."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `POST /v1/embeddings`."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    input: str | Annotated[list[str], Meta(min_length=1, max_length=500)]


class EmbeddingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One vector, in the order of the input."""

    index: int
    embedding: list[float]
    object: Literal["embedding"] = "embedding"


class EmbeddingResponse(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `POST /v1/embeddings`."""

    data: list[EmbeddingRow]
    model: str
    usage: Usage
    object: Literal["list"] = "list"
