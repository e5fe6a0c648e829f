"""Calls that every server of Toxiproxy's API answers alike, each with its read-back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from chaos.errors import ProxyError
from chaos.links.http import ApiClient, ApiError

__all__ = ["compare", "enable_link", "end_toxic", "gone_is_fine", "heal_link", "proxy_path", "remove_link"]


def proxy_path(link: str) -> str:
    """Where a link stands in the API."""
    return f"/proxies/{quote(link, safe='')}"


@contextmanager
def gone_is_fine() -> Iterator[None]:
    """What is not there any more need not be removed: 404 is no error inside this block."""
    try:
        yield
    except ApiError as error:
        if error.status != 404:
            raise


def compare(api: ApiClient, what: str, seen: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ProxyError for the first member that is not as asked."""
    for key, value in asked.items():
        if seen.get(key) != value:
            raise ProxyError(
                f"{what}: asked for {key} {value!r}, the proxy at {api.where} has {seen.get(key)!r}; "
                "does it know all that was asked of it?"
            )


async def end_toxic(api: ApiClient, link: str, name: str) -> None:
    """Remove a toxic and see that it is gone."""
    with gone_is_fine():
        await api.call("DELETE", f"{proxy_path(link)}/toxics/{quote(name, safe='')}")
    if any(toxic["name"] == name for toxic in await _toxics(api, link)):
        raise ProxyError(f"{name} is still on {link} after its removal; remove it or end the proxy")


async def heal_link(api: ApiClient, link: str, is_ours: Callable[[dict[str, Any]], bool]) -> None:
    """Remove the toxics of a link that are ours and see that they are gone."""
    for toxic in await _toxics(api, link):
        if is_ours(toxic):
            with gone_is_fine():
                await api.call("DELETE", f"{proxy_path(link)}/toxics/{quote(toxic['name'], safe='')}")
    left = [toxic["name"] for toxic in await _toxics(api, link) if is_ours(toxic)]
    if left:
        raise ProxyError(f"still on {link} after its removal: {', '.join(left)}; remove it or end the proxy")


async def enable_link(api: ApiClient, link: str, *, enabled: bool) -> None:
    """Have a link listen or not."""
    await api.call("POST", proxy_path(link), {"enabled": enabled})
    compare(api, link, await api.call("GET", proxy_path(link)), {"enabled": enabled})


async def remove_link(api: ApiClient, link: str) -> None:
    """End a link and see that it is gone."""
    with gone_is_fine():
        await api.call("DELETE", proxy_path(link))
    try:
        await api.call("GET", proxy_path(link))
    except ApiError as error:
        if error.status == 404:
            return
        raise
    raise ProxyError(f"{link} is still there after its removal")


async def _toxics(api: ApiClient, link: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with gone_is_fine():
        found += await api.call("GET", f"{proxy_path(link)}/toxics")
    return found
