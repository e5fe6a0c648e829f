"""The pages about the proxy say what the code does: every flag, route, key, toxic and event, and examples that run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chaos.proxy import TOXIC_TYPES, ProxySettings
from chaos.proxy.api import ControlApi
from chaos.proxy.api.bodies import PROXY_EXTENSIONS, TOXIC_EXTENSIONS
from chaos.proxy.config import read_page
from chaos.proxy.events import EVENT_KINDS
from chaos.proxy.flags import USAGE, Flags, parse_flags
from chaos.proxy.registry import open_registry

DOCS = Path(__file__).parents[2] / "docs"
PROXY = (DOCS / "proxy.md").read_text()
MOVING = (DOCS / "from-toxiproxy.md").read_text()


def quoted(page: str) -> set[str]:
    """Words in code spans."""
    return {word for span in re.findall(r"`([^`\n]+)`", page) for word in re.split(r"[\s,]+", span)}


def test_every_flag_is_documented_with_its_default() -> None:
    """On the page and in -help alike."""
    for name in Flags.__struct_fields__:
        flag = "-" + name.replace("_", "-")
        assert flag in quoted(PROXY), flag
        assert flag == "-help" or f"  {flag} " in USAGE, flag
    for name in ("port", "dial_timeout_ms", "host"):
        assert f"| {getattr(Flags(), name)} |".replace("`", "") in PROXY.replace("`", "")


async def test_every_route_is_documented() -> None:
    """With each of its verbs."""
    async with open_registry() as registry:
        routes = ControlApi(registry, proxy_metrics=True)._routes
    lines = [line for line in PROXY.splitlines() if line.startswith("| `")]
    for path, verbs in routes:
        if not path.startswith("/chaos"):
            assert path in quoted(PROXY), path
            continue
        told = [line for line in lines if re.search(rf"{re.escape(path)}[`?\[]", line)]
        for verb in verbs:
            assert any(verb in line.partition(" |")[0] for line in told), (verb, path)


def test_every_extension_key_toxic_and_event_is_documented() -> None:
    """Under the name it has on the wire."""
    words = quoted(PROXY)
    assert {*PROXY_EXTENSIONS, *TOXIC_EXTENSIONS} <= words
    assert set(EVENT_KINDS) <= words
    for name, kind in TOXIC_TYPES.items():
        assert name in words, name
        assert set(kind.attributes.__struct_fields__) <= words, name


def test_the_config_on_the_page_is_one() -> None:
    """It reads without a problem or a warning, toxics and all."""
    (text,) = re.findall(r"```json\n(.*?)```", PROXY, re.DOTALL)
    page = read_page(text.encode(), "f.json")
    assert (page.problems, page.warnings) == ([], [])
    first, second = (entry.settings for entry in page.entries)
    assert first.toxics[0].attributes == {"latency": 20, "jitter": 5}
    assert isinstance(second, ProxySettings)
    assert second.upstream == "[::1]:6379"
    assert json.loads(text)[1]["listen"] == second.listen


@pytest.mark.parametrize("page", [PROXY, MOVING], ids=["proxy", "from-toxiproxy"])
def test_command_lines_on_the_pages_are_taken(page: str) -> None:
    """Those that start the proxy parse."""
    lines = re.findall(r"^chaos-drill proxy (-.*?)(?:\s+#.*)?$", page, re.MULTILINE)
    assert lines
    for line in lines:
        parse_flags(line.split())


@pytest.mark.parametrize("name", ["proxy.md", "from-toxiproxy.md", "links.md"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    """To a file of the repository, and to a heading where one is named."""
    for target in re.findall(r"\]\(([^)]+)\)", (DOCS / name).read_text()):
        path, _, anchor = target.partition("#")
        page = DOCS / (path or name)
        assert page.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads}, target
