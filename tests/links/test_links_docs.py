"""What docs/links.md shows is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import chaos.links
from chaos.links import LinkControl
from tests.links.servers import echo, round_trip

PAGE = (Path(__file__).parents[2] / "docs" / "links.md").read_text()


class Asking:
    """A client of the echo server."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def ask(self, text: str) -> str:
        """What comes back."""
        return (await round_trip(self._address, text.encode())).decode()


async def test_the_example_is_a_test_that_passes() -> None:
    """As printed, with a server and a client of the reader's."""
    example, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    async with echo() as address:
        await names["test_a_slow_database_is_survived"](address, Asking)


def test_the_example_takes_five_lines() -> None:
    """Of the test itself."""
    body = re.findall(r"async def test_.*?\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(body.strip().splitlines()) <= 5


def test_every_call_of_the_port_is_on_the_page() -> None:
    """Each by name, and so is what the package exports to make calls with."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", PAGE))
    calls = [name for name in vars(LinkControl) if not name.startswith("_")]
    makers = [name for name in chaos.links.__all__ if name.islower() and name != "probe_connect"]
    for name in (*calls, *makers, "Toxic", "UnsupportedError"):
        assert re.search(rf"\b{name}\b", spans), name
