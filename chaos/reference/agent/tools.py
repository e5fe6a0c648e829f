"""The agent's tools: offered to the model by name and schema, called with arguments that are checked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from chaos.reference import envelope, problems
from chaos.reference.httpcall import Callee
from chaos.reference.messages import Passage, SearchQuery, SearchResult
from chaos.reference.openai import Tool, ToolCall, ToolFunction

__all__ = ["SEARCH", "search_documents"]


class _Arguments(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[str, Meta(min_length=1)]


SEARCH = Tool(
    function=ToolFunction(
        name="search_documents",
        description="Find the tenant's documents that match a query.",
        parameters=msgspec.json.schema(_Arguments)["$defs"]["_Arguments"],
    )
)


async def search_documents(rag: Callee, tenant: str, call: ToolCall, key: str) -> list[Passage]:
    """Call the search tool as the model asked; raises Problem, also for arguments that are cut short.

    The tenant is the task's and never the model's choice.
    """
    if call.function.name != SEARCH.function.name:
        raise problems.broken("gateway", f"the model called a tool that was not offered: {call.function.name[:40]!r}")
    try:
        arguments = msgspec.json.decode(call.function.arguments, type=_Arguments)
    except msgspec.MsgspecError as error:
        raise problems.broken("gateway", f"the model's tool arguments cannot be read: {error}") from error
    query = envelope.encode("search.query", SearchQuery(tenant=tenant, query=arguments.query))
    found = await rag.ask("/v1/search", query, "search.result", SearchResult, key=key)
    return found.passages
