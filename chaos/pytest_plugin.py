"""Fixtures for suites that use a fault proxy. Nothing is imported or started before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

__all__ = ["chaos_proxy_address", "toxiproxy"]


@pytest.fixture(scope="session")
def chaos_proxy_address() -> Iterator[tuple[str, int]]:
    """Host and port of the API of a fault proxy that lives as long as the session, one for each worker."""
    from chaos.testing.server import running_proxy

    with running_proxy() as address:
        yield address


@pytest.fixture
def toxiproxy(chaos_proxy_address: tuple[str, int]) -> Iterator[Any]:
    """`toxiproxy.Toxiproxy` of toxiproxy-python, bound to a fault proxy of ours; each test begins and ends without proxies."""
    from chaos.testing.toxiproxy import bound_toxiproxy

    with bound_toxiproxy(*chaos_proxy_address) as client:
        yield client
