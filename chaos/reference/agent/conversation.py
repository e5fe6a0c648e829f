"""One streamed call of the model: text and tool calls put together from fragments."""

from __future__ import annotations

import msgspec

from chaos.reference.httpcall import Callee
from chaos.reference.openai import (
    ChatCompletionRequest,
    ChatMessage,
    Chunk,
    FunctionCall,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from chaos.reference.sse import completion_parts

__all__ = ["speak"]


async def speak(gateway: Callee, messages: list[ChatMessage], tools: list[Tool] | None = None) -> ChatMessage:
    """The model's next message; raises Problem when the stream fails, is cut, or cannot be read."""
    request = ChatCompletionRequest(model="ref-chat", messages=messages, stream=True, tools=tools)
    assembled = _Assembly()
    async with gateway.open("/v1/chat/completions", msgspec.json.encode(request)) as response:
        async for part in completion_parts(gateway.name, response):
            assembled.add(part.chunk)
    return assembled.message()


class _Assembly:
    """Collects the deltas of a stream."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._calls: dict[int, _CallAssembly] = {}

    def add(self, chunk: Chunk) -> None:
        for choice in chunk.choices:
            self._text.append(choice.delta.content or "")
            for fragment in choice.delta.tool_calls or []:
                self._calls.setdefault(fragment.index, _CallAssembly()).add(fragment)

    def message(self) -> ChatMessage:
        calls = [self._calls[index].call() for index in sorted(self._calls)]
        return ChatMessage(role="assistant", content="".join(self._text).strip(), tool_calls=calls or None)


class _CallAssembly:
    """Collects the fragments of one tool call: id and name come once, the arguments in pieces."""

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def add(self, fragment: ToolCallDelta) -> None:
        self._id = fragment.id or self._id
        self._name = fragment.function.name or self._name
        self._arguments.append(fragment.function.arguments)

    def call(self) -> ToolCall:
        return ToolCall(id=self._id, function=FunctionCall(name=self._name, arguments="".join(self._arguments)))
